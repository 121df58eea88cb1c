"""Who wakes whom, what is queued, and workers that survive a bug."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import given
from builders.stage import SETTINGS, World, attempt_job, attempt_pod, stage_with_run
from fakes import Clock, FakeKube
from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import Retry
from trainyard_operator.engine.kind import labelled, owner_of
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.reconcile import Reconciler
from trainyard_operator.engine.shell import BATCH, Shell, wakers_of
from trainyard_operator.engine.world import Key
from trainyard_operator.kinds import KINDS
from trainyard_operator.names import EXPERIMENTS, RUNS
from trainyard_operator.runs.kind import KIND as RUN

KEY = Key(RUNS, given.NAMESPACE, "r")


def woken(resource: str, seen: Object) -> set[Key]:
    world = World(FakeKube(Clock()), None)  # type: ignore[arg-type]  # not asked
    return {
        Key(kind.resource, seen["metadata"]["namespace"], name)
        for kind, waker in wakers_of(KINDS)[resource]
        for name in waker(seen, world)
    }


def test_a_run_is_woken_by_its_job_and_its_pod() -> None:
    run = given.run()

    assert KEY in woken(JOBS, attempt_job(run))
    assert KEY in woken(PODS, attempt_pod(run))
    assert KEY in woken(RUNS, run)


def test_a_strangers_job_wakes_nobody() -> None:
    assert woken(JOBS, given.job("j")) == set()


def test_all_five_kinds_are_there() -> None:
    assert set(KINDS) == set(objects.OWN_RESOURCES)


def test_an_owner_of_another_group_is_not_ours() -> None:
    stranger = given.thing("apps/v1", "Deployment", "d")

    assert list(owner_of("Deployment")(given.job("j", of=stranger), None)) == []  # type: ignore[arg-type]
    assert list(labelled("x")(given.job("j"), None)) == []  # type: ignore[arg-type]


async def test_what_is_seen_is_queued_once_and_only_if_it_is_news() -> None:
    shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    shell.seen(RUNS, given.run())
    shell.seen(RUNS, given.run())
    assert len(shell.queues[RUNS]) == 1

    await shell.queues[RUNS].get()
    shell.queues[RUNS].done(KEY)
    shell.seen(RUNS, given.run())
    assert len(shell.queues[RUNS]) == 0

    shell.seen(RUNS, given.run(), deleted=True)
    assert len(shell.queues[RUNS]) == 1


async def test_our_own_writes_are_seen_but_not_what_nobody_watches() -> None:
    shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    shell.written(given.run())
    shell.written(given.thing("v1", "Secret", "s"))

    async with asyncio.timeout(5):
        assert await shell.queues[RUNS].get() == KEY
    assert shell.world.get("secrets", "team", "s") is None


@pytest.mark.parametrize("is_ours", [False, True])
async def test_a_users_change_is_looked_at_at_once_and_ours_with_what_comes_of_it(
    is_ours: bool,
) -> None:
    shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    if is_ours:
        shell.written(given.run())
    else:
        shell.seen(RUNS, given.run())

    assert len(shell.queues[RUNS]) == (0 if is_ours else 1)


async def test_workers_survive_a_bug_and_drain() -> None:
    stage = stage_with_run()
    looks: list[Key] = []

    class Buggy(Reconciler):
        async def reconcile(self, key: Key) -> timedelta | None:
            looks.append(key)
            if len(looks) == 1:
                raise ZeroDivisionError
            if len(looks) == 2:
                raise Retry("Wait", "for it", after=timedelta(milliseconds=1))
            return timedelta(hours=1)

    shell = Shell({RUNS: RUN}, stage.process().world)
    buggy = Buggy({}, shell.world, stage.kube, None, None, SETTINGS, stage.clock)  # type: ignore[arg-type]
    await shell.start(buggy, workers=2)
    async with asyncio.timeout(5):
        while len(looks) < 3:
            await asyncio.sleep(0.01)
    await shell.drain(patience=1)
    assert looks == [KEY] * 3


async def test_a_kind_whose_workers_are_all_busy_holds_up_no_other() -> None:
    stage = stage_with_run()
    looked = asyncio.Event()

    class Hanging(Reconciler):
        async def reconcile(self, key: Key) -> timedelta | None:
            if key.resource == RUNS:
                await asyncio.Event().wait()
            looked.set()
            return None

    shell = Shell(KINDS, stage.process().world)
    hanging = Hanging({}, shell.world, stage.kube, None, None, SETTINGS, stage.clock)  # type: ignore[arg-type]
    await shell.start(hanging, workers=1)
    shell.seen(RUNS, given.run("another"))
    shell.seen("models", given.model())
    async with asyncio.timeout(5):
        await looked.wait()
    await shell.drain(patience=0)


async def test_a_drain_leaves_what_waits_to_the_next_process() -> None:
    stage = stage_with_run()
    looks: list[Key] = []
    go_on = asyncio.Event()

    class Slow(Reconciler):
        async def reconcile(self, key: Key) -> timedelta | None:
            looks.append(key)
            await go_on.wait()
            return None

    shell = Shell({RUNS: RUN}, stage.process().world)
    slow = Slow({}, shell.world, stage.kube, None, None, SETTINGS, stage.clock)  # type: ignore[arg-type]
    await shell.start(slow, workers=1)
    shell.seen(RUNS, given.run("another"))
    await asyncio.sleep(0.01)
    draining = asyncio.create_task(shell.drain(patience=5))
    await asyncio.sleep(0)
    go_on.set()
    await draining

    assert looks == [Key(RUNS, given.NAMESPACE, "another")]  # what is news comes first


async def test_a_waker_that_fails_has_all_of_its_kind_looked_at() -> None:
    def broken(seen: Object, world: object) -> tuple[str]:
        raise KeyError("labels")

    kind = replace(RUN, wakes={JOBS: broken}, settle=timedelta(0))
    shell = Shell({RUNS: kind}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    shell.world.cache.remember(RUNS, given.run())
    shell.seen(JOBS, given.job("j"))

    assert len(shell.queues[RUNS]) == 1


async def test_what_nothing_follows_from_wakes_others_only() -> None:
    other = replace(KINDS[EXPERIMENTS], wakes={RUNS: lambda *_: ("e",)}, settle=timedelta(0))
    kinds = {RUNS: RUN, EXPERIMENTS: other}
    shell = Shell(kinds, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    shell.written(given.run(), is_steady=True)
    await asyncio.sleep(2 * RUN.settle.total_seconds())

    assert (len(shell.queues[RUNS]), len(shell.queues[EXPERIMENTS])) == (0, 1)
    assert shell.world.get(RUNS, given.NAMESPACE, "r") is not None


async def test_an_object_that_cannot_be_taken_in_ends_nothing() -> None:
    shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
    shell.seen(RUNS, {"metadata": {}})

    assert len(shell.queues[RUNS]) == 0


async def test_others_have_their_turn_while_thousands_are_woken() -> None:
    stage = stage_with_run()
    shell = Shell({RUNS: RUN}, stage.process().world)
    for n in range(30_000):
        shell.world.cache.remember(RUNS, given.run(f"r{n}"))
    turns = [0]

    async def renew() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    renewing = asyncio.create_task(renew())
    await shell.start(None, workers=0)  # type: ignore[arg-type]  # no workers
    renewing.cancel()
    await shell.drain(patience=0)

    assert turns[0] >= 30_000 / BATCH
