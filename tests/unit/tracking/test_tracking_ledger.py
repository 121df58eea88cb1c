"""How long a run token is good for."""

import pytest
import sqlalchemy as sa
from builders.tracking_database import fresh_database
from trainyard_tracking.errors import Unauthenticated, Unavailable
from trainyard_tracking.ledger import Entry, Ledger
from trainyard_tracking.tokens import RunClaim

ENTRY = Entry("a" * 32, "team", "fit", "1")
CLAIM = RunClaim(ENTRY.run_id, ENTRY.namespace, ENTRY.name)
END = 1_000_000
GRACE = 600


class Clock:
    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path):
    with fresh_database(tmp_path) as url:
        engine = sa.create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def clock():
    return Clock(END)


@pytest.fixture
def finished(engine, clock):
    ledger = Ledger(engine, clock)
    ledger.open(ENTRY)
    ledger.close(ENTRY.run_id)
    return ledger


def test_a_token_is_good_as_long_as_its_run_goes_on(engine, clock):
    ledger = Ledger(engine, clock)
    ledger.open(ENTRY)
    clock.now += 1_000 * GRACE

    assert ledger.identify(CLAIM).run_id == ENTRY.run_id


def test_a_token_is_good_for_ten_minutes_after_the_end(finished, clock):
    clock.now = END + GRACE

    assert finished.identify(CLAIM).run_id == ENTRY.run_id


def test_a_token_is_refused_after_ten_minutes(finished, clock):
    clock.now = END + GRACE + 1

    with pytest.raises(Unauthenticated, match="team/fit has finished"):
        finished.identify(CLAIM)


def test_an_end_that_is_told_again_gives_no_more_time(finished, clock):
    clock.now = END + GRACE
    finished.close(ENTRY.run_id)
    clock.now = END + GRACE + 1

    with pytest.raises(Unauthenticated):
        finished.identify(CLAIM)


def test_a_restart_does_not_forget_the_end(finished, engine, clock):
    clock.now = END + GRACE + 1

    with pytest.raises(Unauthenticated):
        Ledger(engine, clock).identify(CLAIM)


def test_a_run_that_another_process_has_finished_is_finished_here(engine, clock):
    here, elsewhere = Ledger(engine, clock), Ledger(engine, clock)
    here.open(ENTRY)
    assert here.identify(CLAIM).run_id == ENTRY.run_id
    elsewhere.close(ENTRY.run_id)
    clock.now += GRACE + 6

    with pytest.raises(Unauthenticated, match="team/fit has finished"):
        here.identify(CLAIM)


def test_an_unfinished_run_costs_one_look_in_five_seconds(engine, clock):
    ledger = Ledger(engine, clock)
    ledger.open(ENTRY)
    asked = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    for seconds in (1, 2, 3, 4, 5, 6, 7):
        clock.now = END + seconds
        ledger.identify(CLAIM)

    assert len(asked) == 1


def test_an_end_that_two_processes_tell_is_that_of_the_first(engine, clock):
    first, second = Ledger(engine, clock), Ledger(engine, clock)
    first.open(ENTRY)
    second.find(ENTRY.run_id)
    first.close(ENTRY.run_id)
    clock.now += 300
    second.close(ENTRY.run_id)

    assert second.find(ENTRY.run_id).finished_at == END


def test_a_run_that_two_processes_record_at_once_is_recorded(engine, clock, monkeypatch):
    first, second = Ledger(engine, clock), Ledger(engine, clock)
    find = Ledger.find

    def found(self, run_id):
        answer = find(self, run_id)
        if self is second and answer is None:
            first.open(ENTRY)
        return answer

    monkeypatch.setattr(Ledger, "find", found)

    assert second.open(ENTRY) == ENTRY


def test_while_the_database_is_away_who_asks_is_told_to_ask_again(engine, clock):
    ledger = Ledger(engine, clock)

    def away(*_):
        raise sa.exc.OperationalError("connect", {}, Exception("refused"))

    sa.event.listen(engine, "before_cursor_execute", away)
    with pytest.raises(Unavailable):
        ledger.identify(CLAIM)
