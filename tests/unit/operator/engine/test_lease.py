"""One leader at a time, and one that stops when it no longer leads."""

import asyncio
import time
from typing import Any

import pytest
from builders.stage import NOW
from trainyard_operator.engine.errors import Conflict, LeaseLost, NotFound, Retry
from trainyard_operator.engine.lease import Lease, uptime
from trainyard_operator.engine.plan import Object, Ref


class FakeLeases:
    """The API server's leases: one, with conflicts by resource version."""

    def __init__(self) -> None:
        self.held: Object | None = None
        self.version = 0
        self.down: Exception | None = None

    async def read(self, _: Ref) -> Object | None:
        if self.down:
            raise self.down
        return self.held

    async def post(self, made: Object) -> Object:
        if self.held:
            raise Conflict("AlreadyExists", "lease")
        return self._store(made)

    async def replace(self, made: Object) -> Object:
        if self.down:
            raise self.down
        if self.held is None:
            raise NotFound("NotFound", "lease")
        held = self.held
        if made["metadata"].get("resourceVersion") != held["metadata"]["resourceVersion"]:
            raise Conflict("Conflict", "lease")
        return self._store(made)

    def _store(self, made: Object) -> Object:
        self.version += 1
        meta = {**made["metadata"], "resourceVersion": str(self.version)}
        self.held = {**made, "metadata": meta}
        return self.held


def lease(leases: FakeLeases, identity: str, clock: list[float]) -> Lease:
    return Lease(
        leases,  # type: ignore[arg-type]  # a fake
        namespace="n",
        name="l",
        identity=identity,
        monotonic=lambda: clock[0],
        now=lambda: NOW,
    )


def test_a_machine_that_was_suspended_knows_that_time_has_passed() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    assert before <= uptime() <= time.clock_gettime(time.CLOCK_BOOTTIME)


async def test_only_one_of_two_leads() -> None:
    leases, clock = FakeLeases(), [0.0]
    first, second = lease(leases, "a", clock), lease(leases, "b", clock)

    assert await first.try_acquire()
    assert not await second.try_acquire()
    assert await first.try_acquire()


async def test_an_abandoned_lease_is_taken_after_its_duration() -> None:
    leases, clock = FakeLeases(), [0.0]
    await lease(leases, "a", clock).try_acquire()
    second = lease(leases, "b", clock)
    assert not await second.try_acquire()
    clock[0] = 14.0
    assert not await second.try_acquire()

    clock[0] = 16.0
    assert await second.try_acquire()


async def test_a_released_lease_is_taken_at_once() -> None:
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)
    await first.try_acquire()
    await first.release()

    assert await lease(leases, "b", clock).try_acquire()


async def test_a_lease_that_somebody_deletes_is_no_lease_that_is_free(monkeypatch: Any) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    leases, clock = FakeLeases(), [0.0]
    first, second = lease(leases, "a", clock), lease(leases, "b", clock)
    await first.try_acquire()
    assert not await second.try_acquire()
    leases.held = None
    clock[0] = 9.0
    assert not await second.try_acquire()

    keeping = await kept(first)
    assert not keeping.done()
    assert not await second.try_acquire()
    keeping.cancel()
    leases.held = None
    clock[0] = 30.0
    assert await second.try_acquire()


async def test_a_leader_whose_lease_another_took_stops(monkeypatch: Any) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)
    await first.try_acquire()
    second = lease(leases, "b", clock)
    await second.try_acquire()
    clock[0] = 20.0
    await second.try_acquire()
    with pytest.raises(LeaseLost):
        await first.keep()


async def test_a_leader_that_cannot_renew_in_time_stops(monkeypatch: Any) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    leases = FakeLeases()
    ticks = iter(float(n * 4) for n in range(100))
    first = Lease(
        leases,  # type: ignore[arg-type]  # a fake
        namespace="n",
        name="l",
        identity="a",
        monotonic=lambda: next(ticks),
        now=lambda: NOW,
    )
    await first.try_acquire()
    leases.down = Retry("APIServerUnavailable", "down")
    with pytest.raises(LeaseLost):
        await first.keep()


async def kept(first: Lease, turns: int = 50) -> asyncio.Task[None]:
    keeping = asyncio.create_task(first.keep())
    for _ in range(turns):
        await asyncio.sleep(0)
    return keeping


async def test_a_renewal_that_hangs_is_given_up_in_time(monkeypatch: Any) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    monkeypatch.setattr("trainyard_operator.engine.lease.TRY", 0.01)
    monkeypatch.setattr("trainyard_operator.engine.lease.RENEW_WITHIN", 0.03)
    leases = FakeLeases()
    first = Lease(leases, namespace="n", name="l", identity="a")  # type: ignore[arg-type]
    await first.try_acquire()

    async def hang(_: Object) -> Object:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(leases, "replace", hang)
    async with asyncio.timeout(5):
        with pytest.raises(LeaseLost):
            await first.keep()


@pytest.mark.parametrize("blip", [Retry("APIServerUnavailable", "down"), ValueError("html")])
async def test_a_look_that_fails_after_a_lost_answer_is_tried_again(
    blip: Exception, monkeypatch: Any
) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)
    await first.try_acquire()
    assert leases.held
    leases._store(leases.held)  # a renewal of ours whose answer was lost
    read, failures = leases.read, [blip]

    async def look(ref: Ref) -> Object | None:
        if failures:
            raise failures.pop()
        return await read(ref)

    monkeypatch.setattr(leases, "read", look)
    clock[0] = 9.0
    keeping = await kept(first)

    assert not keeping.done()
    assert not failures
    assert first.time_to_write() == 13.0
    keeping.cancel()


async def test_a_process_that_was_paused_may_not_write() -> None:
    clock = [0.0]
    first = lease(FakeLeases(), "a", clock)
    assert first.time_to_write() < 0

    await first.try_acquire()
    assert first.time_to_write() > 0
    clock[0] = 14.0
    assert first.time_to_write() < 0
    assert not first.is_kept()


async def test_one_that_released_the_lease_writes_no_more() -> None:
    first = lease(FakeLeases(), "a", [0.0])
    await first.try_acquire()
    await first.release()

    assert first.time_to_write() < 0


async def test_a_lease_is_released_though_a_renewal_was_cut_short() -> None:
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)
    await first.try_acquire()
    assert leases.held
    leases._store(leases.held)
    await first.release()

    assert await lease(leases, "b", clock).try_acquire()


async def test_an_answer_that_is_no_lease_renews_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr("trainyard_operator.engine.lease.EVERY", 0)
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)
    await first.try_acquire()

    async def garbage(_: Object) -> Object:
        clock[0] += 4
        return {"status": "ok"}

    monkeypatch.setattr(leases, "replace", garbage)
    async with asyncio.timeout(5):
        with pytest.raises(LeaseLost):
            await first.keep()


async def test_an_answer_that_is_no_lease_takes_none(monkeypatch: Any) -> None:
    leases, clock = FakeLeases(), [0.0]
    first = lease(leases, "a", clock)

    async def garbage(_: Object) -> Object:
        return {}

    with monkeypatch.context() as patched:
        patched.setattr(leases, "post", garbage)
        assert not await first.try_acquire()
    assert await first.try_acquire()


async def test_what_is_noted_is_written_with_each_renewal_and_taken_off() -> None:
    leases, notes = FakeLeases(), {"told": "away"}
    ours = Lease(
        leases,  # type: ignore[arg-type]  # a fake
        namespace="n",
        name="l",
        identity="a",
        monotonic=lambda: 0.0,
        now=lambda: NOW,
        notes=lambda: notes,
    )
    await ours.try_acquire()
    assert leases.held is not None
    leases.held["metadata"]["annotations"]["other"] = "stays"
    assert leases.held["metadata"]["annotations"] == {"told": "away", "other": "stays"}

    notes["told"] = ""
    await ours.try_acquire()

    assert leases.held["metadata"]["annotations"] == {"other": "stays"}
