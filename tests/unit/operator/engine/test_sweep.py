"""What the sweep finds of our own resources that kopf's watches did not tell."""

from collections.abc import AsyncIterator
from typing import Any

from builders import given
from builders.stage import Stage, World
from fakes import FakeKube
from trainyard_operator.engine import sweep
from trainyard_operator.engine.kube import Page
from trainyard_operator.engine.shell import Shell
from trainyard_operator.names import RUNS
from trainyard_operator.runs.kind import KIND as RUN


class Listing:
    """FakeKube as lists of metadata; our Deployments and the cluster's share their kind."""

    def __init__(self, kube: FakeKube, version: int = 1000) -> None:
        self._kube = kube
        self._version = version
        self.reads: list[str] = []

    async def read(self, ref: Any) -> Any:
        self.reads.append(ref.name)
        return await self._kube.read(ref)

    async def pages(
        self, api_version: str, kind: str, namespace: str, **_: str
    ) -> AsyncIterator[Page]:
        found = [each for each in self._kube.find(kind) if each["apiVersion"] == api_version]
        yield Page(self._version, [{"metadata": each["metadata"]} for each in found])


def scene() -> tuple[FakeKube, World, Shell]:
    stage = Stage()
    world = World(stage.kube, stage.tracking)
    return stage.kube, world, Shell({RUNS: RUN}, world)


async def test_the_sweep_drops_what_a_watch_did_not_report() -> None:
    kube, world, shell = scene()
    world.cache.remember(RUNS, kube.put(given.run("kept")))
    world.cache.remember(RUNS, given.run("gone"))
    listing: Any = Listing(kube)
    await sweep.resync(shell, listing, ["team"])

    assert [name for _, name in world.cache.names(RUNS)] == ["kept"]
    assert listing.reads == []


async def test_the_sweep_takes_in_what_a_watch_did_not_report() -> None:
    kube, world, shell = scene()
    kube.put(given.run("missed"))
    listing: Any = Listing(kube)
    await sweep.resync(shell, listing, ["team"])

    assert world.get(RUNS, "team", "missed") is not None
    assert len(shell.queues[RUNS]) == 1


async def test_the_sweep_leaves_what_was_made_after_its_list() -> None:
    kube, world, shell = scene()
    world.cache.remember(RUNS, given.run("new", metadata={"resourceVersion": "12"}))
    listing: Any = Listing(kube, version=11)
    await sweep.resync(shell, listing, [])

    assert world.get(RUNS, "team", "new") is not None
