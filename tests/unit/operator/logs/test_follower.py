"""Logs reach the tracking service whole, once, in order, whatever breaks on the way."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders.logs import FakePodLog, FakeSink, SinkByLog, stamped
from trainyard_operator.engine.errors import NotFound, Retry, Terminal, Unheard
from trainyard_operator.logs import follower
from trainyard_operator.logs import keeper as keeping
from trainyard_operator.logs.follower import CUT
from trainyard_operator.logs.keeper import LogKeeper
from trainyard_operator.logs.limits import Places
from trainyard_operator.runs.effects import FollowLog

CALL = FollowLog("team", "r", "f" * 32, 1, "r-a1-0-x", "uid")


async def ship(pod: FakePodLog, sink: FakeSink, *, call: FollowLog = CALL) -> bytes:
    told: list[FollowLog] = []
    keeper = LogKeeper(
        pod,  # type: ignore[arg-type]  # a fake
        sink,
        is_over=lambda _: len(pod.answers) <= 1,
        on_complete=told.append,
    )
    keeper.follow(call)
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)
    assert keeper.is_complete(call)
    return sink.held


async def test_lines_arrive_without_their_stamps() -> None:
    assert await ship(FakePodLog([stamped("one", "two")]), FakeSink()) == b"one\ntwo\n"


async def test_a_last_line_without_an_end_arrives() -> None:
    assert await ship(FakePodLog([stamped("one", "two", end="")]), FakeSink()) == b"one\ntwo"


async def test_pieces_may_break_lines_anywhere() -> None:
    whole = stamped("one", "two", "three")
    pieces = [whole[n : n + 7] for n in range(0, len(whole), 7)]

    assert await ship(FakePodLog(pieces), FakeSink()) == b"one\ntwo\nthree\n"


async def test_after_a_broken_stream_nothing_is_lost_and_nothing_comes_twice() -> None:
    broken = [stamped("one", "two"), b"2026-11-24T12:00:02.5Z thr", ConnectionResetError()]
    again = [stamped("two", "three", begin=1)]
    sink = FakeSink()

    assert await ship(FakePodLog(broken, again), sink) == b"one\ntwo\nthree\n"
    assert sink.place == "2026-11-24T12:00:02.5Z"


async def test_another_process_goes_on_where_the_last_append_ended() -> None:
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")
    pod = FakePodLog([stamped("one", "two")])

    assert await ship(pod, sink) == b"one\ntwo\n"
    assert pod.since == ["2026-11-24T12:00:00Z"]


async def test_what_the_node_dropped_meanwhile_is_said_where_it_is_missing() -> None:
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")
    pod = FakePodLog([stamped("three", begin=9), stamped("four", begin=10)])

    said, _, rest = (await ship(pod, sink)).partition(b"[trainyard] output may be missing here")

    assert said == b"one\n"
    assert rest.endswith(b"\nthree\nfour\n")
    assert b"[trainyard]" not in rest


async def test_a_log_that_was_rotated_where_it_was_left_off_is_whole() -> None:
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.123456789Z")

    assert await ship(FakePodLog([stamped("two", begin=1)]), sink) == b"one\ntwo\n"


async def test_a_tracking_service_that_is_down_is_waited_for() -> None:
    sink = FakeSink()
    sink.failures = [Retry("TrackingUnavailable", "down")] * 3

    assert await ship(FakePodLog([stamped("one")]), sink) == b"one\n"


async def test_a_container_that_is_not_there_yet_is_read_later() -> None:
    not_yet = Terminal("InvalidSpec", "container main is waiting to start")

    assert await ship(FakePodLog(not_yet, [stamped("one")]), FakeSink()) == b"one\n"


async def test_an_append_whose_answer_was_lost_is_not_made_again() -> None:
    sink = FakeSink()
    sink.lost_answers = 1

    assert await ship(FakePodLog([stamped("one")]), sink) == b"one\n"


async def test_a_pod_that_vanishes_under_the_reader_closes_with_a_note() -> None:
    pod = FakePodLog([stamped("one"), ConnectionResetError()], NotFound("NotFound", "gone"))
    held = await ship(pod, FakeSink())

    assert held.startswith(b"one\n[trainyard]")
    assert b"missing" in held


async def test_a_pod_that_vanishes_keeps_its_last_line_without_an_end() -> None:
    pod = FakePodLog([stamped("one", "two", end="")], NotFound("NotFound", "gone"))

    assert (await ship(pod, FakeSink())).startswith(b"one\ntwo\n[trainyard]")


async def test_a_node_that_serves_no_log_is_given_up_with_a_note() -> None:
    refusals = [Retry("APIServerUnavailable", "no kubelet")] * 9
    pod = FakePodLog(*refusals[:1])
    pod.answers = list(refusals)
    sink = FakeSink()
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=lambda _: None)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not keeper.is_complete(CALL):
            await asyncio.sleep(0)

    assert b"gives no log" in sink.held
    assert len(pod.since) == follower.GIVE_UP_READS


async def test_an_api_server_that_is_away_or_busy_says_nothing_about_a_node() -> None:
    away = [Unheard("APIServerUnavailable", "429")] * (follower.GIVE_UP_READS + 3)
    pod = FakePodLog(*away, [stamped("one")])
    sink = FakeSink()
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=lambda _: None)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not keeper.is_complete(CALL):
            await asyncio.sleep(0)

    kept = sink.held + b"".join(base64.b64decode(t["tail"]["data"]) for t in keeper.tails("f" * 32))
    assert kept == b"one\n"


async def test_a_lost_pods_log_is_closed_with_one_note_however_often_it_is_asked() -> None:
    lost = FollowLog("team", "r", "f" * 32, 1, "", "", cut=True)
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")

    await ship(FakePodLog(), sink, call=lost)
    held = await ship(FakePodLog(), sink, call=lost)

    assert held.count(b"[trainyard]") == 1
    assert sink.place == CUT


async def test_a_log_that_is_archived_already_takes_no_note_and_is_complete() -> None:
    lost = FollowLog("team", "r", "f" * 32, 1, "", "", cut=True)
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")
    sink.failures = [Terminal("TrackingRefused", "archived")]

    assert await ship(FakePodLog(), sink, call=lost) == b"one\n"


async def test_a_log_of_a_run_that_is_on_record_no_more_is_not_sent_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")
    sink.failures = [NotFound("NotFound", "no such run")] * 2

    assert await ship(FakePodLog([stamped("one", "two")]), sink) == b"one\n"
    assert len(sink.failures) == 1
    (said,) = [each.getMessage() for each in caplog.records]
    assert said.startswith("the log of attempt 1, index 0 of Run team/r is not kept")
    assert said.endswith(" 4 bytes from byte 4 on, and what follows: no such run")


@pytest.mark.parametrize(
    ("failures", "held", "said"),
    [
        (1, b"one\n", ["broke off: once more"]),
        (2, b"", ["broke off: once more", "rest of the log of attempt 1, index 0 of Run team/r"]),
    ],
)
async def test_a_log_that_broke_off_for_no_known_reason_is_followed_once_more(
    caplog: pytest.LogCaptureFixture, failures: int, held: bytes, said: Sequence[str]
) -> None:
    sink = FakeSink()
    sink.failures = [KeyError("unforeseen")] * failures
    pod = FakePodLog(*[[stamped("one")]] * 2)
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=lambda _: None)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not keeper.is_complete(replace(CALL, is_retried=True)):
            await asyncio.sleep(0)

    assert sink.held == held
    for record, words in zip(caplog.records, said, strict=True):
        assert words in record.getMessage()
        assert record.exc_info


async def test_an_attempt_without_a_pod_has_a_complete_log() -> None:
    nothing = FollowLog("team", "r", "f" * 32, 1, "", "")

    assert await ship(FakePodLog(), FakeSink(), call=nothing) == b""


async def test_who_waits_is_told_once_a_log_is_complete() -> None:
    told: list[FollowLog] = []
    pod = FakePodLog([stamped("one")])
    keeper = LogKeeper(pod, FakeSink(), is_over=lambda _: True, on_complete=told.append)  # type: ignore[arg-type]
    keeper.follow(CALL)
    keeper.follow(CALL)
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)

    assert told == [CALL]
    assert keeper.is_complete(CALL)
    keeper.forget(CALL.run_id)
    await keeper.stop()


async def test_each_pod_of_an_attempt_has_a_log_of_its_own() -> None:
    told: list[FollowLog] = []
    pod, sink = FakePodLog([stamped("one")], [stamped("two")]), SinkByLog()
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=told.append)  # type: ignore[arg-type]
    other = replace(CALL, pod_uid="other", index=1, is_retried=True)
    keeper.follow(CALL)
    keeper.follow(other)
    assert not keeper.is_complete(replace(other, pod="", pod_uid=""))
    async with asyncio.timeout(5):
        while len(told) < 2:
            await asyncio.sleep(0)

    assert keeper.is_complete(CALL)
    assert keeper.is_complete(other)
    held = {place: sink.held for place, sink in sink.sinks.items()}
    assert held == {(1, 0): b"one\n", (1, 1): b"two\n"}


async def test_a_program_that_ends_at_once_is_read_once_and_never_followed() -> None:
    pod = FakePodLog([stamped("one")])

    assert await ship(pod, FakeSink()) == b"one\n"
    assert pod.followed == [False]


async def test_a_program_that_goes_on_is_followed_and_read_once_more_at_its_end() -> None:
    pod = FakePodLog([stamped("one")], [stamped("one", "two")])

    assert await ship(pod, FakeSink()) == b"one\ntwo\n"
    assert pod.followed == [True, False]


async def test_without_a_place_among_the_followers_a_log_is_read_in_turns() -> None:
    pod = FakePodLog([stamped("one")], [stamped("one", "two")], [stamped("two", "three", begin=1)])
    sink, told = FakeSink(), list[FollowLog]()
    keeper = LogKeeper(pod, sink, is_over=lambda _: len(pod.answers) <= 1, on_complete=told.append)  # type: ignore[arg-type]
    keeper._limits.followers = Places(0)
    keeper._limits.readers = Places(1)
    keeper.follow(CALL)
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)

    assert sink.held == b"one\ntwo\nthree\n"
    assert pod.followed == [False] * 3


async def test_a_read_waits_for_its_turn_and_gets_it() -> None:
    pod, sink, told = FakePodLog(*[[stamped("one")]] * 5), SinkByLog(), list[FollowLog]()
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=told.append)  # type: ignore[arg-type]
    keeper._limits.readers = Places(1)
    for index in range(5):
        keeper.follow(replace(CALL, index=index, is_retried=True))
    assert len(pod.followed) == 0
    assert sum(log.task is not None for log in keeper._listed) == 1
    async with asyncio.timeout(5):
        while len(told) < 5:
            await asyncio.sleep(0)

    assert [each.held for each in sink.sinks.values()] == [b"one\n"] * 5
    assert keeper._limits.readers == Places(1)


@pytest.mark.parametrize(("age", "asked"), [(0, 1), (keeping.YOUNG_SECONDS + 1, 0)])
async def test_a_new_log_is_begun_without_asking_for_its_place(age: float, asked: int) -> None:
    pod, sink = FakePodLog([stamped("one")]), FakeSink()
    await ship_all(pod, sink, age=age)

    assert (sink.held, sink.asked) == (b"one\n", asked)


async def test_a_log_that_only_seemed_new_goes_on_where_it_ended() -> None:
    pod = FakePodLog([stamped("one", "two")], [stamped("one", "two")])
    sink = FakeSink(b"one\n", "2026-11-24T12:00:00.5Z")
    await ship_all(pod, sink, age=keeping.YOUNG_SECONDS + 1)

    assert sink.held == b"one\ntwo\n"


async def ship_all(pod: FakePodLog, sink: FakeSink, *, age: float) -> None:
    """Ship the log of an attempt that another one follows, by a process of such an age."""
    keeper = LogKeeper(pod, sink, is_over=lambda _: True, on_complete=lambda _: None)  # type: ignore[arg-type]
    keeper._first = asyncio.get_running_loop().time() - age
    async with asyncio.timeout(5):
        while not keeper.is_complete(replace(CALL, is_retried=True)):
            await asyncio.sleep(0)


async def test_a_node_that_gives_no_log_for_days_is_asked_on() -> None:
    refused = [Retry("APIServerUnavailable", "no kubelet")] * 1200
    pod = FakePodLog(*refused, [stamped("one")])
    sink, told = FakeSink(), list[FollowLog]()
    keeper = LogKeeper(pod, sink, is_over=lambda _: len(pod.answers) <= 1, on_complete=told.append)  # type: ignore[arg-type]
    keeper.follow(CALL)
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)

    assert sink.held == b"one\n"


async def test_a_nodes_refusal_becomes_a_note_of_ours() -> None:
    words = b"unable to retrieve container logs for containerd://abc"
    pod = FakePodLog([stamped("one"), words[:9], words[9:]], [words], [words], [words])

    held = await ship(pod, FakeSink())

    assert held.startswith(b"one\n[trainyard] ")
    assert b"containerd" not in held


async def test_the_end_of_an_attempt_is_the_end_whatever_its_pod_shows() -> None:
    pod, sink = FakePodLog([stamped("one")]), FakeSink()
    keeper = LogKeeper(pod, sink, is_over=lambda _: False, on_complete=lambda _: None)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not keeper.is_complete(replace(CALL, is_retried=True)):
            await asyncio.sleep(0)

    assert sink.held == b"one\n"
    keeper.forget(CALL.run_id)
    assert not keeper._runs
