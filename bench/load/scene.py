"""What every scenario needs: fake nodes, namespaces, and eyes on the operator."""

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import fake_nodes
import kubelet_pod
import lease
import limits
import samples
from api import Api, connected, namespace
from board import JOB_PATH, RUN_PATH, Board, job_marks, run_marks, watching
from fake_nodes import Kwok
from figures import Figures
from lease import Lease
from loads import run
from posting import post
from program import say
from readings import find_operator
from samples import Samples

SPACE = f"trainyard-bench-{os.getpid()}"
START = 600.0  # seconds that many Runs may take to a mark


@dataclass(frozen=True, slots=True)
class Scene:
    """A cluster in which a scenario is played.

    Attributes:
        home: Namespace of the bench's own pods.
    """

    api: Api
    kwok: Kwok
    lease: Lease
    samples: Samples
    home: str
    image: str

    async def end_programs(self) -> float:
        """End the programs of all pods; return when they were told."""
        begun = time.time()
        await kubelet_pod.end(self.api, self.home)
        self.kwok.complete()
        return begun

    def operator(self, start: float, end: float) -> Figures:
        """Return what the operator and its lease were like meanwhile."""
        return {
            "operator: largest RSS, MiB": self.samples.peak(start, end),
            "operator: CPU, ms per s": 1000 * self.samples.grown("cpu", start, end),
            "lease: longest without a renewal, s": self.lease.largest_gap(start, end),
        }


@asynccontextmanager
async def prepared(*, seconds: float | None, every: float = samples.EVERY) -> AsyncIterator[Scene]:
    """Prepare the cluster; leave it as it was.

    Args:
        seconds: How long pods run; None: until `end_programs`.
        every: Seconds between looks at the operator.
    """
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(connected())
        image = (await find_operator(api)).image
        say("The controllers' limits are raised, and fake nodes made")
        await stack.enter_async_context(limits.raised(api))
        home = await stack.enter_async_context(namespace(api, SPACE))
        address = await kubelet_pod.start(api, home, image=image, seconds=seconds)
        playing = fake_nodes.playing(api, address=address, seconds=seconds)
        kwok = await stack.enter_async_context(playing)
        held = await stack.enter_async_context(lease.watched(api))
        taken = await stack.enter_async_context(samples.sampled(api, every=every))
        yield Scene(api, kwok, held, taken, home, image)


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace with Runs in it, watched."""

    api: Api
    name: str
    runs: Board
    jobs: Board

    async def post(
        self, numbers: Sequence[int], *, name: str = "run", **spec: Any
    ) -> dict[str, float]:
        """Post Runs; return when each was asked for, by name."""
        bodies = (run(number, name=name, **spec) for number in numbers)
        return await post(self.api, RUN_PATH.format(self.name), bodies)

    async def cancel(self, name: str, *, seconds: float = 300) -> float:
        """Cancel a Run; return the seconds until it is Finished for that reason."""
        begun = time.time()
        path = f"{RUN_PATH.format(self.name)}/{name}"
        await self.api.patch(path, {"spec": {"cancel": True}})
        return await self.runs.moment(name, "Cancelled", seconds=seconds) - begun


@asynccontextmanager
async def space(api: Api, suffix: str = "runs", *, gone_in: float = 1800) -> AsyncIterator[Space]:
    """Give a namespace for Runs; take it away with all that is in it."""
    async with AsyncExitStack() as stack:
        name = await stack.enter_async_context(namespace(api, f"{SPACE}-{suffix}", gone_in=gone_in))
        runs = await stack.enter_async_context(watching(api, RUN_PATH.format(name), run_marks))
        jobs = await stack.enter_async_context(watching(api, JOB_PATH.format(name), job_marks))
        yield Space(api, name, runs, jobs)
