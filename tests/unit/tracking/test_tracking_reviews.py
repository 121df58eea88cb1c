"""What tokens and rights cost the API server, and whom strangers can keep out."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders.tracking import SCIENTIST, STRANGER, FakeKube
from trainyard_tracking import reviews as reviewing
from trainyard_tracking.errors import Busy, Unauthenticated
from trainyard_tracking.reviews import (
    ASKED_AT_ONCE,
    KEPT_SECONDS,
    REFUSALS,
    REFUSED_SECONDS,
    Permission,
    Reviews,
)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class SlowKube(FakeKube):
    """An API server that answers once it is let."""

    def __init__(self):
        super().__init__()
        self.let, self.came = threading.Event(), threading.Semaphore(0)

    def create(self, path, body, *, token=None):
        self.came.release()
        self.let.wait(20)
        return super().create(path, body, token=token)


@pytest.fixture
def clock():
    return Clock()


def test_a_token_that_nobody_knows_is_asked_about_once_in_ten_seconds(clock):
    kube = FakeKube()
    reviews = Reviews(kube, clock)

    for _ in range(50):
        with pytest.raises(Unauthenticated):
            reviews.person("junk")
    assert kube.reviews == 1

    clock.now += REFUSED_SECONDS + 1
    with pytest.raises(Unauthenticated):
        reviews.person("junk")
    assert kube.reviews == 2


def test_a_token_as_long_as_no_token_is_costs_no_question():
    kube = FakeKube()

    with pytest.raises(Unauthenticated):
        Reviews(kube).person("x" * 100_000)
    assert kube.reviews == 0


def asked(reviews, kube, tokens):
    pool = ThreadPoolExecutor(len(tokens))
    waiting = [pool.submit(reviews.person, one) for one in tokens]
    for _ in set(tokens):
        assert kube.came.acquire(timeout=20)
    return waiting


def test_many_who_come_with_one_token_ask_once(clock):
    kube = SlowKube()
    waiting = asked(Reviews(kube, clock), kube, [SCIENTIST] * 30)
    kube.let.set()

    assert {one.result(20).username for one in waiting} == {"scientist"}
    assert kube.reviews == 1


def test_strangers_without_end_keep_out_nobody_who_was_known(clock):
    kube = SlowKube()
    kube.let.set()
    reviews = Reviews(kube, clock)
    known = reviews.person(SCIENTIST)
    kube.came.acquire()
    clock.now += KEPT_SECONDS + 1
    kube.let.clear()

    waiting = asked(reviews, kube, [f"junk-{number}" for number in range(ASKED_AT_ONCE)])
    try:
        assert reviews.person(SCIENTIST) == known
        with pytest.raises(Busy) as refused:
            reviews.person("one more")
        assert refused.value.headers["Retry-After"]
        clock.now += KEPT_SECONDS
        with pytest.raises(Busy):
            reviews.person(SCIENTIST)
    finally:
        kube.let.set()
    for one in waiting:
        with pytest.raises(Unauthenticated):
            one.result(20)


def test_who_is_refused_without_end_is_asked_about_so_often_a_minute_and_others_are(clock):
    kube = FakeKube()
    reviews = Reviews(kube, clock)
    stranger, scientist = reviews.person(STRANGER), reviews.person(SCIENTIST)
    kube.reviews = 0

    for number in range(REFUSALS):
        assert not reviews.may(stranger, Permission("runs", "list", f"team-{number}"))
    with pytest.raises(Busy) as refused:
        reviews.may(stranger, Permission("runs", "list", "one-more"))

    assert kube.reviews == REFUSALS
    assert 0 < int(refused.value.headers["Retry-After"]) <= 60
    assert reviews.may(scientist, Permission("runs", "list", "team"))
    clock.now += 60
    assert not reviews.may(stranger, Permission("runs", "list", "one-more"))


def test_when_there_is_no_room_the_oldest_answer_goes_not_all(clock, monkeypatch):
    monkeypatch.setattr(reviewing, "_MOST", 3)
    kube = FakeKube()
    reviews = Reviews(kube, clock)
    scientist = reviews.person(SCIENTIST)
    verbs = ("get", "list", "create", "update")
    for verb in verbs:
        reviews.may(scientist, Permission("runs", verb, "team"))
    kube.reviews = 0

    for verb in verbs[1:]:
        reviews.may(scientist, Permission("runs", verb, "team"))
    assert kube.reviews == 0
    reviews.may(scientist, Permission("runs", verbs[0], "team"))
    assert kube.reviews == 1


def test_people_and_their_tokens_are_forgotten_once_nobody_asks_about_them(clock):
    reviews = Reviews(FakeKube(), clock)
    for _ in range(5):
        for token in (SCIENTIST, STRANGER):
            reviews.person(token)
        clock.now += 24 * 3600
    reviews.person(SCIENTIST)

    assert {person.token for _, person in reviews._people.values()} == {SCIENTIST}
