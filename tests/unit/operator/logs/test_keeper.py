"""Which log goes on, and when: what waits costs nothing, and what ends is seen to its end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from builders.logs import FakePodLog, FakeSink, SinkByLog, stamped
from trainyard_operator.logs import keeper as keeping
from trainyard_operator.logs import limits
from trainyard_operator.logs.keeper import LogKeeper
from trainyard_operator.logs.limits import Places
from trainyard_operator.runs.effects import FollowLog

CALL = FollowLog("team", "r", "f" * 32, 1, "r-a1-0-x", "uid")


async def test_where_many_logs_wait_one_looks_seldom_and_is_told_of_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "FOLLOW_AFTER", 60.0)
    pod, sink, looks, told = FakePodLog([stamped("one")]), SinkByLog(), list[int](), list[int]()

    def is_over(call: FollowLog) -> bool:
        looks.append(call.index)
        return False

    def on_complete(call: FollowLog) -> None:
        told.append(call.index)

    keeper = LogKeeper(pod, sink, is_over=is_over, on_complete=on_complete)  # type: ignore[arg-type]
    calls = [replace(CALL, index=index) for index in range(1000)]
    for each in calls:
        keeper.follow(each)
    looks.clear()
    for begin in range(0, 1000, limits.LOOKS):
        keeper._look()
        assert looks == list(range(begin, begin + limits.LOOKS))
        looks.clear()
    assert keeper._limits.turn == 16
    assert all(log.task is None for log in keeper._listed)

    async with asyncio.timeout(5):
        while not keeper.is_complete(calls[7]):
            await asyncio.sleep(0)
    assert (told, pod.answers) == ([7], [])
    await keeper.stop()


async def test_a_pod_that_cannot_be_judged_holds_up_no_other_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "FOLLOW_AFTER", 60.0)
    pod, told, runs = FakePodLog([stamped("one")]), list[int](), True

    def is_over(call: FollowLog) -> bool:
        if not runs and call.index == 0:
            raise ValueError("its time is none")
        return not runs

    def on_complete(call: FollowLog) -> None:
        told.append(call.index)

    keeper = LogKeeper(pod, SinkByLog(), is_over=is_over, on_complete=on_complete)  # type: ignore[arg-type]
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for index in range(2):
        keeper.follow(replace(CALL, index=index))
    runs = False
    async with asyncio.timeout(5):
        while told != [1]:
            await asyncio.sleep(0)
    await keeper.stop()


class Silent:
    """The API server's log of one pod: followed, it never says that it has ended."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.followed: list[bool] = []

    @asynccontextmanager
    async def log(self, *_: str, follow: bool, **__: str) -> AsyncIterator["Silent"]:
        self.followed.append(follow)
        if follow and not self.pieces:
            await asyncio.Event().wait()  # not even a head
        yield self

    async def readany(self) -> bytes:
        if self.followed[-1] and not self.pieces:
            await asyncio.Event().wait()
        return self.pieces.pop() if self.pieces else b""


@pytest.mark.parametrize("pieces", [(), (stamped("one"),)])
async def test_a_stream_that_stays_silent_after_the_programs_end_is_given_up(
    pieces: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SILENT_SECONDS", 0.0)
    pod, sink, has_ended, told = Silent(*pieces), FakeSink(), False, list[FollowLog]()
    keeper = LogKeeper(pod, sink, is_over=lambda _: has_ended, on_complete=told.append)  # type: ignore[arg-type]
    keeper.follow(CALL)
    for _ in range(100):
        await asyncio.sleep(0)
    assert pod.followed == [True]
    has_ended = True
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)

    assert pod.followed == [True, False]
    assert sink.held == (b"one\n" if pieces else b"")
    assert keeper._limits.followers == Places(limits.FOLLOWERS)
