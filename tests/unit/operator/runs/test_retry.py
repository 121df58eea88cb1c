"""Retries, time-outs, clean-up, quantities and numbers, by rows."""

from datetime import timedelta
from decimal import Decimal

import pytest
from builders.stage import NOW
from hypothesis import given
from hypothesis import strategies as st
from trainyard_api.names import next_version
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.outcome import Fault
from trainyard_operator.runs.retry import (
    LONGEST_DELAY,
    clean_up_in,
    delay_after,
    one_more,
    retry_delay,
    time_left,
    used_retries,
)
from trainyard_operator.runs.scheduling import doubled, parse_quantity


def past(*reasons: str) -> list[Object]:
    return [{"number": n, "reason": r, "completionTime": "x"} for n, r in enumerate(reasons, 1)]


@pytest.mark.parametrize(
    ("fault", "limits", "earlier", "again"),
    [
        pytest.param(Fault.USER, {}, past(), False, id="a program's failure is final by default"),
        pytest.param(Fault.USER, {"userError": 1}, past(), True, id="unless it may try again"),
        pytest.param(Fault.USER, {"userError": 1}, past("ExitCode"), False, id="but only so often"),
        pytest.param(
            Fault.USER, {"userError": 1}, past("PodLost"), True, id="each fault has its own budget"
        ),
        pytest.param(Fault.INFRASTRUCTURE, {}, past("Evicted"), True, id="the cluster's is tried"),
        pytest.param(
            Fault.INFRASTRUCTURE, {}, past("PodLost", "Evicted", "Preempted"), False, id="3 times"
        ),
        pytest.param(Fault.INFRASTRUCTURE, {"infrastructure": 0}, past(), False, id="or never"),
        pytest.param(Fault.FINAL, {"userError": 9}, past(), False, id="what cannot help is not"),
        pytest.param(Fault.NOBODY, {"userError": 9}, past(), False, id="nor is a success"),
        pytest.param(
            Fault.USER, {"userError": 1}, past("Suspended"), True, id="a suspension counts for none"
        ),
        pytest.param(
            Fault.USER,
            {"userError": 1},
            [{"number": 1}],
            True,
            id="the attempt that just ended is no earlier one",
        ),
    ],
)
def test_an_attempt_is_followed_by_another(
    fault: Fault, limits: dict[str, int], earlier: list[Object], again: bool
) -> None:
    used = used_retries({"attempts": earlier})
    delay = retry_delay(fault, limits=limits, used=used)

    assert (delay is not None) == again


def test_an_older_status_counts_what_it_no_longer_lists() -> None:
    used = used_retries({"attempts": past(*["ExitCode"] * 10), "attemptCount": 20})

    assert retry_delay(Fault.USER, limits={"userError": 20}, used=used) is None


def test_counts_are_what_the_status_says_however_many_suspensions_it_lists() -> None:
    suspended = {"attempts": past(*["Suspended"] * 10), "attemptCount": 30}
    used = used_retries({**suspended, "retries": {"userError": 1}})

    assert used == {"userError": 1, "infrastructure": 0}
    assert one_more(used, Fault.INFRASTRUCTURE) == {"userError": 1, "infrastructure": 1}
    assert one_more(used, Fault.QUEUE) == used


def test_a_place_in_a_queue_is_tried_again_however_often() -> None:
    used = {"userError": 9, "infrastructure": 9}

    assert retry_delay(Fault.QUEUE, limits={}, used=used) is not None


def test_pauses_double_up_to_five_minutes() -> None:
    assert [delay_after(n).total_seconds() for n in (1, 2, 3)] == [2, 4, 8]
    assert delay_after(50) == LONGEST_DELAY


def test_a_program_has_as_long_as_its_timeout_says() -> None:
    started = NOW - timedelta(seconds=60)

    assert time_left({"timeout": "90s"}, started, now=NOW) == timedelta(seconds=30)
    assert time_left({"timeout": "1m"}, started, now=NOW) == timedelta(0)
    assert time_left({}, started, now=NOW) is None


def test_children_stay_as_long_as_the_run_or_as_it_says() -> None:
    finished = NOW - timedelta(seconds=60)

    assert clean_up_in({}, finished, now=NOW) is None
    assert clean_up_in({"ttlSecondsAfterFinished": 100}, finished, now=NOW) == timedelta(seconds=40)
    assert clean_up_in({"ttlSecondsAfterFinished": 0}, finished, now=NOW) == timedelta(seconds=-60)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", "2"),
        ("500m", "0.5"),
        ("4Gi", "4294967296"),
        ("1k", "1000"),
        ("1.5M", "1500000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("2E", "2000000000000000000"),
        (3, "3"),
    ],
)
def test_a_quantity_is_a_number(text: object, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "much", "1X"])
def test_other_text_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "twice"), [("64Mi", "128Mi"), ("1.5G", "3G"), ("100", "200"), ("x", "twice x")]
)
def test_twice_a_quantity_keeps_its_unit(text: str, twice: str) -> None:
    assert doubled(text) == twice


@given(existing=st.sets(st.integers(1, 50)), retired=st.integers(0, 50))
def test_a_version_number_is_never_used_twice(existing: set[int], retired: int) -> None:
    number = next_version(existing, retired)

    assert number > retired
    assert all(number > each for each in existing)


def test_the_first_version_is_1() -> None:
    assert next_version((), 0) == 1
