"""A service that fails is asked by one caller at a time, seldom."""

from trainyard_operator.engine.breaker import DOUBTS, FIRST, LONGEST, Breaker, Pass


def breaker(clock: list[float]) -> Breaker:
    return Breaker(monotonic=lambda: clock[0], jitter=lambda: 0.0)


def fail(of: Breaker) -> None:
    leave = of.enter()
    assert leave
    of.failed(leave)
    of.left(leave)


def test_after_a_failure_all_are_refused_but_one_probe() -> None:
    clock = [0.0]
    one = breaker(clock)
    fail(one)

    assert one.enter() is None
    clock[0] = FIRST
    assert one.enter()
    assert one.enter() is None


def test_probes_become_rarer_up_to_a_bound() -> None:
    clock = [0.0]
    one = breaker(clock)
    asked = 0
    while clock[0] < 180:
        leave = one.enter()
        if leave:
            asked += 1
            one.failed(leave)
            one.left(leave)
        clock[0] += 0.1

    assert asked < 180 / LONGEST + 6


def probed() -> tuple[Breaker, Pass]:
    """Return an open breaker, and the leave of the one that asks on."""
    clock = [0.0]
    one = breaker(clock)
    fail(one)
    clock[0] = FIRST
    leave = one.enter()
    assert leave
    return one, leave


def test_an_answer_closes_it() -> None:
    one, leave = probed()
    one.answered()
    one.left(leave)

    assert one.enter()
    assert one.enter()


def test_a_call_that_fails_while_others_are_answered_cuts_nobody_off() -> None:
    clock = [0.0]
    one = breaker(clock)
    slow = one.enter()
    clock[0] = 1.0
    one.answered()
    assert slow
    one.failed(slow)

    assert not one.is_open


def test_late_failures_of_calls_under_way_make_probes_no_rarer() -> None:
    clock = [0.0]
    one = breaker(clock)
    calls = [one.enter() for _ in range(8)]
    for leave in calls:
        assert leave
        one.failed(leave)
    clock[0] = FIRST

    assert one.enter()


def test_one_refusal_cuts_nobody_off_but_several_in_a_row_do() -> None:
    clock = [0.0]
    one = breaker(clock)
    for nth in range(1, DOUBTS + 1):
        leave = one.enter()
        assert leave
        one.doubted(leave)
        assert one.is_open == (nth == DOUBTS)


def test_a_probe_that_was_cancelled_lets_another_ask() -> None:
    one, leave = probed()
    one.left(leave)

    assert one.enter()
