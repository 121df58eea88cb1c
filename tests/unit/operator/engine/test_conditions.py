"""Conditions: when their time moves, and how they are found."""

from datetime import timedelta

from builders import given
from builders.stage import NOW
from trainyard_api.moment import rfc3339
from trainyard_operator.engine import conditions
from trainyard_operator.engine.conditions import Condition


def test_the_transition_time_moves_with_the_status_only() -> None:
    run = given.run()
    first = conditions.merge(run, {}, Condition("A", "False", "x", "1"), now=NOW)
    later = NOW + timedelta(hours=1)
    same = conditions.merge(run, first, Condition("A", "False", "y", "2"), now=later)
    moved = conditions.merge(run, same, Condition("A", "True", "y", "2"), now=later)

    assert same["conditions"][0]["lastTransitionTime"] == rfc3339(NOW)
    assert moved["conditions"][0]["lastTransitionTime"] == rfc3339(later)


def test_what_is_said_again_changes_nothing() -> None:
    told = Condition("A", "True", "x", "1")
    first = conditions.merge(given.run(), {}, told, now=NOW)

    assert conditions.merge(given.run(), first, told, now=NOW + timedelta(1)) == first


def test_conditions_are_found_by_type() -> None:
    status = conditions.merge(given.run(), {}, Condition("A", "True", "x", "1"), now=NOW)

    assert conditions.is_true(status, "A")
    assert conditions.find(status, "B") is None
    assert not conditions.is_true({}, "A")
