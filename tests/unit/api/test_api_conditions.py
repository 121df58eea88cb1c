"""How a condition is set and found."""

from datetime import timedelta

from builders import given
from trainyard_api.conditions import (
    ConditionType,
    FinalReason,
    find_condition,
    is_true,
    set_condition,
)

READY = given.condition("Ready", reason="AllStagesHeld")
LATER = given.NOW + timedelta(minutes=5)


def test_a_new_condition_comes_last() -> None:
    conditions = set_condition(
        [READY],
        ConditionType.FINISHED,
        "True",
        FinalReason.COMPLETED,
        "The program exited with code 0",
        generation=3,
        now=given.NOW,
    )

    assert conditions == [
        READY,
        {
            "type": "Finished",
            "status": "True",
            "reason": "Completed",
            "message": "The program exited with code 0",
            "lastTransitionTime": "2026-11-24T13:00:00Z",
            "observedGeneration": 3,
        },
    ]
    assert all(type(value) in {str, int} for value in conditions[1].values())


def test_the_transition_time_stays_while_the_status_does() -> None:
    before = [READY, given.condition("Other")]
    after = set_condition(before, "Ready", "True", "Other", "x", generation=2, now=LATER)

    assert after[0]["lastTransitionTime"] == given.CREATED
    assert after[0]["reason"] == "Other"
    assert after[1] == before[1]


def test_the_transition_time_moves_with_the_status() -> None:
    after = set_condition([READY], "Ready", "False", "Other", "x", generation=2, now=LATER)

    assert after[0]["lastTransitionTime"] == "2026-11-24T13:05:00Z"


def test_setting_what_holds_changes_nothing() -> None:
    after = set_condition([READY], "Ready", "True", "AllStagesHeld", "", generation=1, now=LATER)

    assert after == [READY]


def test_the_conditions_given_are_not_changed() -> None:
    before = [dict(READY)]
    set_condition(before, "Ready", "False", "Other", "x", generation=2, now=LATER)

    assert before == [READY]


def test_a_condition_is_found_by_its_type() -> None:
    resource = given.model(status={"conditions": [READY]})

    assert find_condition(resource, "Ready") == READY
    assert find_condition(resource, "Finished") is None
    assert find_condition(given.model(), "Ready") is None


def test_only_a_true_condition_is_true() -> None:
    false = given.condition("Ready", "False", "GateRefused")

    assert is_true(given.model(status={"conditions": [READY]}), "Ready")
    assert not is_true(given.model(status={"conditions": [false]}), "Ready")
    assert not is_true(given.model(), "Ready")
