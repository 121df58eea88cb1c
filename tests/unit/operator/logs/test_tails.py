"""The last of a log goes with the end of its Run: two calls for a Run that prints little."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from builders.logs import FakePodLog, FakeService, stamped
from builders.stage import Stage
from fakes import FakeKube
from trainyard_operator.engine.errors import Conflict, NotFound, Retry, Unavailable
from trainyard_operator.engine.performing import perform
from trainyard_operator.logs import follower, keeper, limits
from trainyard_operator.logs.keeper import LogKeeper
from trainyard_operator.logs.limits import Room
from trainyard_operator.logs.spool import REST_BYTES
from trainyard_operator.metrics import LOG_BYTES
from trainyard_operator.runs.effects import FinishRun, FollowLog, RecordRun
from trainyard_operator.runs.orphans import kill_orphans
from trainyard_operator.runs.performers import PERFORMERS
from trainyard_operator.tools import Tools

RUN_ID = "f" * 32
CALL = FollowLog("team", "r", RUN_ID, 1, "r-a1-0-x", "uid")
RECORD = RecordRun("team", RUN_ID, "r", "digits", {}, {}, 0)
AWAY = Unavailable("TrackingUnavailable", "it does not answer")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_PAUSE", 0.0)
    monkeypatch.setattr(keeper, "FOLLOW_AFTER", 0.0)
    monkeypatch.setattr(limits, "LOOK_SECONDS", 0.0)
    # Whoever waits for this waits for more than a test may take.
    monkeypatch.setattr(limits, "PATIENCE_SECONDS", 60.0)


class Life:
    """One process: its logs, and what it asks of the tracking service that outlives it."""

    def __init__(self, service: FakeService, *answers: object) -> None:
        self.service, self.pod = service, FakePodLog(*answers)  # type: ignore[arg-type]  # rows
        self.is_over = True
        self.complete: list[FollowLog] = []
        self.logs = LogKeeper(
            self.pod,  # type: ignore[arg-type]  # a fake
            service,
            is_over=lambda _: self.is_over,
            on_complete=self.complete.append,
        )
        # As if it were old enough to take a log for new.
        self.logs._first = float("-inf")
        stage = Stage()
        world = stage.process().world
        self.tools = Tools(stage.kube, world, service, self.logs)  # type: ignore[arg-type]  # fakes
        self.kube: FakeKube = stage.kube

    async def record(self) -> None:
        await perform(RECORD, PERFORMERS, self.tools, {})

    async def finish_once(self, *calls: FollowLog) -> None:
        done = FinishRun("team", RUN_ID, "FINISHED", 0, {}, calls or (CALL,), RECORD)
        await perform(done, PERFORMERS, self.tools, {})

    async def finish(self, *calls: FollowLog) -> None:
        """Do it as often as it takes."""
        async with asyncio.timeout(5):
            while True:
                try:
                    return await self.finish_once(*calls)
                except Retry:
                    await self.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await self.pause()

    async def pause(self) -> None:
        await asyncio.sleep(0)

    @property
    def room(self) -> int:
        return self.logs._limits.tails.left


async def test_a_short_run_makes_two_calls_and_its_log_is_whole() -> None:
    life, before = Life(FakeService(), [stamped("one", "two", end="")]), LOG_BYTES._value.get()
    await life.record()
    life.logs.follow(CALL)
    await life.finish()

    assert life.service.calls == ["put", "finish"]
    assert life.service.archived == {(1, 0): b"one\ntwo"}
    assert LOG_BYTES._value.get() == before + 7
    assert (life.logs._runs, life.room) == ({}, limits.TAIL_BYTES)


async def test_a_log_that_was_read_before_its_run_has_ended_waits_to_be_told() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.logs.follow(CALL)
    await life.until(lambda: life.pod.is_read)
    for _ in range(50):
        await life.pause()
    assert not life.complete
    await life.finish()

    assert life.service.calls == ["finish"]


async def test_the_last_lines_are_kept_as_soon_as_the_run_is_over() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.logs.follow(CALL)
    life.logs.follow(replace(CALL, is_final=True))
    await life.until(lambda: life.complete)
    await life.finish()

    assert life.service.calls == ["finish"]
    assert life.service.archived == {(1, 0): b"one\n"}


async def test_a_log_whose_run_goes_on_for_long_is_appended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "POLL_SECONDS", 0.0)
    life = Life(FakeService(), [stamped("one")])
    life.logs.follow(CALL)
    await life.until(lambda: life.complete)

    assert (life.service.calls, life.room) == (["append"], limits.TAIL_BYTES)
    await life.finish()
    assert life.service.archived == {(1, 0): b"one\n"}


@pytest.mark.parametrize("is_told_late", [False, True])
async def test_the_log_of_an_attempt_that_is_retried_is_appended_at_once(
    is_told_late: bool,
) -> None:
    life = Life(FakeService(), [stamped("one")], [stamped("two")])
    if is_told_late:
        life.logs.follow(CALL)
        await life.until(lambda: life.pod.answers[1:] == [])
        for _ in range(50):
            await life.pause()
    life.logs.follow(replace(CALL, is_retried=True))
    await life.until(lambda: life.complete)

    assert life.service.sinks[1, 0].held == b"one\n"
    second = replace(CALL, attempt=2, pod_uid="other")
    life.logs.follow(second)
    await life.finish(replace(CALL, pod="", pod_uid=""), second)
    assert life.service.calls == ["append", "finish"]
    assert life.service.archived == {(1, 0): b"one\n", (2, 0): b"two\n"}


async def test_an_attempt_that_is_retried_while_its_pod_goes_on_is_not_cut_short() -> None:
    life = Life(FakeService(), [stamped("one")], [stamped("one", "two")])
    life.is_over = False
    life.logs.follow(replace(CALL, is_retried=True))
    await life.until(lambda: life.service.calls)
    assert not life.complete
    life.is_over = True
    await life.until(lambda: life.complete)

    assert life.service.sinks[1, 0].held == b"one\ntwo\n"


async def test_each_pod_of_an_attempt_may_have_a_tail() -> None:
    life = Life(FakeService(), [stamped("zero")], [stamped("one")])
    calls = [replace(CALL, pod_uid=f"{index}", index=index) for index in range(2)]
    for each in calls:
        life.logs.follow(each)
    await life.finish(*calls)

    assert life.service.calls == ["finish"]
    assert life.service.archived == {(1, 0): b"zero\n", (1, 1): b"one\n"}


async def test_bytes_that_are_no_text_survive() -> None:
    line = b"2026-11-24T12:00:00.5Z \xff\xfe\x00\x80\n"
    life = Life(FakeService(), [line])
    await life.finish()

    assert life.service.archived == {(1, 0): b"\xff\xfe\x00\x80\n"}


@pytest.mark.parametrize(
    ("size", "calls"),
    [(REST_BYTES, ["finish"]), (REST_BYTES + 1, ["append", "finish"])],
)
async def test_only_little_waits_for_the_end(size: int, calls: list[str]) -> None:
    life = Life(FakeService(), [stamped("x" * (size - 1))])
    await life.finish()

    assert life.service.calls == calls
    assert len(life.service.archived[1, 0]) == size


async def test_a_tail_that_finds_no_room_is_appended() -> None:
    life = Life(FakeService(), [stamped("one")], [stamped("two")])
    life.logs._limits.tails = Room(7)
    calls = [replace(CALL, pod_uid=f"{index}", index=index) for index in range(2)]
    for each in calls:
        life.logs.follow(each)
    await life.until(lambda: life.complete)
    assert life.service.calls == ["append"]
    await life.finish(*calls)

    assert life.service.calls == ["append", "finish"]
    assert life.service.archived == {(1, 0): b"one\n", (1, 1): b"two\n"}
    assert life.room == 7


async def test_a_log_that_broke_is_read_to_its_end_before_any_of_it_is_kept() -> None:
    life = Life(FakeService(), [stamped("one"), OSError()], [stamped("one", "two")])
    await life.finish()

    assert life.service.calls == ["append", "finish"]
    assert life.service.archived == {(1, 0): b"one\ntwo\n"}


async def test_a_log_that_is_closed_by_a_note_is_appended() -> None:
    life = Life(FakeService(), NotFound("NotFound", "gone"))
    await life.finish()

    assert life.service.calls == ["append", "finish"]
    assert life.service.archived[1, 0].startswith(b"[trainyard] the pod is gone")


async def test_a_finish_whose_answer_was_lost_leaves_the_log_once() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.service.failures = [AWAY]
    await life.finish()

    assert life.service.calls == ["finish", "append", "finish"]
    assert life.service.archived == {(1, 0): b"one\n"}
    assert life.room == limits.TAIL_BYTES


async def test_while_finishing_fails_the_last_lines_are_appended() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.service.is_closed = True
    await life.until(lambda: life.logs.is_complete(CALL))
    with pytest.raises(Retry):
        await life.finish_once()
    await life.until(lambda: life.logs.is_complete(CALL))

    assert life.service.sinks[1, 0].held == b"one\n"
    assert life.room == limits.TAIL_BYTES
    life.service.is_closed = False
    await life.finish(replace(CALL, pod="", pod_uid=""))
    assert life.service.archived == {(1, 0): b"one\n"}


async def test_a_refusal_that_is_another_tails_costs_no_line_though_the_pods_are_gone() -> None:
    life = Life(FakeService(), [stamped("zero")], [stamped("one")])
    calls = [replace(CALL, pod_uid=f"{index}", index=index) for index in range(2)]
    for each in calls:
        life.logs.follow(each)
    await life.until(lambda: all(life.logs.is_complete(each) for each in calls))
    life.service.failures = [Conflict("Conflict", "the log of attempt 1 ends elsewhere")]
    await life.finish(*calls)

    assert life.service.archived == {(1, 0): b"zero\n", (1, 1): b"one\n"}


async def test_the_log_of_a_pod_that_takes_the_place_of_a_suspended_one_is_followed() -> None:
    life = Life(FakeService(), [stamped("one")], [stamped("two")], [stamped("two", "three")])
    life.logs.follow(replace(CALL, is_retried=True))
    await life.until(lambda: life.complete)
    life.is_over = False
    second = replace(CALL, pod_uid="second")
    life.logs.follow(second)
    await life.until(lambda: len(life.service.calls) == 2)
    assert len(life.complete) == 1
    life.is_over = True
    await life.finish(second)

    assert life.service.archived[1, 0].endswith(b"three\n")


async def test_a_tail_that_waits_is_appended_before_the_log_of_a_pod_that_takes_its_place() -> None:
    life = Life(FakeService(), [stamped("one")], [stamped("two", begin=30)])
    life.logs.follow(CALL)
    await life.until(lambda: life.logs._runs[RUN_ID][1, 0].logs[0].end.tail)
    life.logs.follow(replace(CALL, pod_uid="second"))
    await life.until(lambda: len(life.complete) == 2)
    await life.finish(replace(CALL, pod_uid="second"))

    assert b"one\n" in life.service.archived[1, 0]


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_process_that_died_leaves_a_log_that_the_next_one_ships_once(
    is_archived: bool,
) -> None:
    life, service = Life(FakeService(), [stamped("one")]), FakeService()
    life.service.failures = [AWAY]
    if is_archived:
        await life.until(lambda: life.logs.is_complete(CALL))
        with pytest.raises(Unavailable):
            await life.finish_once()
        service = life.service
    following = Life(service, [stamped("one")])
    following.logs._first = None
    await following.finish()

    assert service.archived == {(1, 0): b"one\n"}


async def test_a_finish_that_is_made_again_after_its_answer_adds_nothing() -> None:
    life = Life(FakeService(), *[[stamped("one")]] * 2)
    for _ in range(2):
        await life.finish()

    assert life.service.calls == ["finish", "finish"]
    assert life.service.archived == {(1, 0): b"one\n"}


async def test_a_record_that_is_lost_is_made_anew_and_finished_with_the_tail() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.service.failures = [NotFound("NotFound", "no such run")]
    await life.finish()

    assert life.service.calls == ["finish", "put", "finish"]
    assert life.service.archived == {(1, 0): b"one\n"}


async def test_a_log_that_ends_elsewhere_is_read_again_from_there_and_appended() -> None:
    life = Life(FakeService(), [stamped("one", "two")], *[[stamped("one", "two")]] * 2)
    await life.until(lambda: life.logs.is_complete(CALL))
    # What another replica sent before it died.
    sink = life.service.sinks[1, 0]
    sink.held, sink.place = b"one\n", "2026-11-24T12:00:00.5Z"
    await life.finish()

    assert life.service.calls[0] == "finish"
    assert life.service.calls[-2:] == ["append", "finish"]
    assert life.service.archived == {(1, 0): b"one\ntwo\n"}
    assert life.room == limits.TAIL_BYTES


async def test_an_older_service_that_takes_no_tails_is_sent_appends() -> None:
    life = Life(FakeService(), [stamped("one")])
    life.service.is_older = True
    await life.finish()

    assert life.service.calls == ["finish", "append", "finish"]
    assert life.service.archived == {(1, 0): b"one\n"}


async def test_a_conflict_that_is_not_of_a_tail_is_told_and_not_tried_as_one() -> None:
    life = Life(FakeService(), [])
    life.service.failures = [Conflict("Conflict", "another's")]
    await life.until(lambda: life.logs.is_complete(CALL))
    with pytest.raises(Retry, match="another's"):
        await life.finish_once()

    assert life.service.calls == ["finish"]


@pytest.mark.parametrize("is_older", [False, True])
async def test_a_run_that_is_gone_before_it_is_recorded_keeps_its_tail(is_older: bool) -> None:
    life = Life(FakeService(), [stamped("one")])
    life.service.is_older = is_older
    await life.until(lambda: life.logs.is_complete(CALL))

    async def active_runs(_: str) -> list[dict[str, str]]:
        return [{"runID": RUN_ID}] if not life.service.archived else []

    life.service.active_runs = active_runs  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        while not life.service.archived:
            cache, service = life.tools.world.cache, life.service  # type: ignore[attr-defined]
            await kill_orphans(cache, life.kube, service, life.logs, ["team"])  # type: ignore[arg-type]
            await life.pause()

    assert life.service.archived == {(1, 0): b"one\n"}
    assert (life.logs._runs, life.room) == ({}, limits.TAIL_BYTES)
