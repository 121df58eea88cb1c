"""What one process does from its lease to its end."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from builders.stage import SETTINGS
from trainyard_operator import process
from trainyard_operator.engine import connections
from trainyard_operator.engine import lease as leases
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.process import Operator


class Leases:
    """Counts renewals; holds whatever it is given."""

    def __init__(self) -> None:
        self.renewals = 0
        self.holder = "nobody yet"

    async def read(self, _: Ref) -> Object | None:
        return None

    async def post(self, made: Object) -> Object:
        return made

    async def replace(self, made: Object) -> Object:
        self.renewals += 1
        self.holder = made["spec"]["holderIdentity"]
        return made


class Scene:
    """An operator without a cluster; it notes its death instead of dying."""

    def __init__(self, opened: connections.Connections) -> None:
        self.deaths: list[str] = []
        self.leases = Leases()
        nowhere = Access("http://127.0.0.1:1")
        self.operator = Operator(
            SETTINGS, nowhere, opened, die=lambda why, _: self.deaths.append(why)
        )
        self.operator.lease._kube = self.leases  # type: ignore[assignment]  # a fake

    async def lead(self, stop: asyncio.Event) -> None:
        assert await self.operator.lease.try_acquire()
        async with asyncio.timeout(5):
            await self.operator.lead(stop)


@pytest.fixture
async def scene(monkeypatch: Any) -> AsyncIterator[Scene]:
    monkeypatch.setattr(leases, "EVERY", 0)
    monkeypatch.setattr(process.gc, "freeze", lambda: None)
    monkeypatch.setattr(process.Informer, "load_surely", _nothing)
    monkeypatch.setattr(process.Informer, "follow", _for_ever)
    monkeypatch.setattr(process.watch, "watch", _nothing)
    async with connections.connect(Access("http://api"), "http://tracking") as opened:
        yield Scene(opened)


async def _nothing(*_: object, **__: object) -> None:
    """Return at once."""


async def _for_ever(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


async def test_the_lease_is_renewed_while_caches_are_loaded(scene: Scene, monkeypatch: Any) -> None:
    stop = asyncio.Event()

    async def load(*_: object) -> None:
        while scene.leases.renewals < 5:
            await asyncio.sleep(0)
        stop.set()

    monkeypatch.setattr(process.Informer, "load_surely", load)
    await scene.lead(stop)

    assert scene.deaths == []


async def test_who_is_told_to_stop_while_it_loads_gives_the_lease_up(
    scene: Scene, monkeypatch: Any
) -> None:
    stop = asyncio.Event()

    async def load(*_: object) -> None:
        stop.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(process.Informer, "load_surely", load)
    await scene.lead(stop)

    assert scene.leases.holder == ""
    assert scene.deaths == []


def test_as_many_files_may_be_open_as_the_system_grants() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        process.take_all_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_token_that_cannot_be_read_for_a_moment_is_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "token"
    access = Access("http://api", token_file=file)
    assert access.headers() == {}
    file.write_text("first\n")
    assert access.headers() == {"Authorization": "Bearer first"}
    file.unlink()
    access._read_at = -1e9
    assert access.headers() == {"Authorization": "Bearer first"}


async def test_watches_that_end_by_themselves_end_the_process(scene: Scene) -> None:
    await scene.lead(asyncio.Event())

    assert scene.deaths == ["the watches ended"]


async def test_a_load_that_fails_ends_the_process(scene: Scene, monkeypatch: Any) -> None:
    async def load(*_: object) -> None:
        raise KeyError("items")

    monkeypatch.setattr(process.Informer, "load_surely", load)
    await scene.lead(asyncio.Event())

    assert scene.deaths == ["loading or watching failed"]


async def test_health_is_told_as_it_is(scene: Scene, monkeypatch: Any) -> None:
    operator = scene.operator
    assert operator.is_healthy()  # a standby that keeps trying

    seen: list[bool] = []

    async def watch(*_: object, **__: object) -> None:
        seen.append(operator.is_healthy())
        monkeypatch.setattr(leases, "RENEW_WITHIN", -1.0)
        seen.append(operator.is_healthy())
        monkeypatch.setattr(leases, "RENEW_WITHIN", 10.0)
        operator.background.start("recorder", _nothing())
        await asyncio.sleep(0.001)
        seen.append(operator.is_healthy())

    monkeypatch.setattr(process.watch, "watch", watch)
    await scene.lead(asyncio.Event())

    assert seen == [True, False, False]
