"""The API server's time, by a clock that is wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from trainyard_operator.engine.clock import ServerClock

TRUE = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("off", [timedelta(minutes=5), timedelta(hours=-1)])
def test_a_clock_that_is_wrong_is_corrected_by_what_answers_say(off: timedelta) -> None:
    clock = ServerClock(lambda: TRUE + off)
    clock.heard(date(TRUE))

    assert abs(clock() - TRUE) <= timedelta(seconds=1)


def test_less_than_a_header_can_tell_is_left_alone() -> None:
    clock = ServerClock(lambda: TRUE)
    clock.heard(date(TRUE - timedelta(seconds=1)))

    assert clock() == TRUE


def test_one_answer_of_many_that_is_nonsense_changes_nothing() -> None:
    clock = ServerClock(lambda: TRUE)
    later, nonsense = date(TRUE + timedelta(seconds=1)), date(TRUE + timedelta(days=9))
    for said in (date(TRUE), later, nonsense, "yesterday", None):
        clock.heard(said)

    assert clock() == TRUE


def test_of_the_answers_of_one_second_the_first_counts() -> None:
    now = [TRUE]
    clock = ServerClock(lambda: now[0])
    clock.heard(date(TRUE))
    now[0] += timedelta(minutes=1)
    for _ in range(9):
        clock.heard(date(TRUE))

    assert clock() == now[0]
