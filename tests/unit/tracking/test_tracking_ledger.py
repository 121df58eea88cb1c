"""How long a run token is good for."""

import pytest
import sqlalchemy as sa
from builders.tracking_database import fresh_database
from trainyard_tracking.errors import Unauthenticated
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
