"""N finished Runs, with Jobs and pods, are there when operators start: one, two, and two again.

The last time the leader is deleted while it still loads.
"""

import asyncio
import time

import handover
import release
from figures import Figures, prefixed
from finished import Finished
from overlaps import overlap, wrote
from posting import in_parallel
from program import say
from scene import START, Scene, Space, prepared, space

EVERY = 0.5
LOADS_FOR = 3.0  # of the 15 s or so that 30,000 objects take


async def play(n: int, seconds: float) -> Figures:
    """Have *n* Runs that are finished, and start operators; look at two for *seconds*."""
    async with (
        prepared(seconds=1.0, every=EVERY) as scene,
        release.scaling(scene.api, release.OPERATOR),
        space(scene.api) as runs,
    ):
        await runs.post([0], name="real")
        await runs.runs.reached("Recorded", 1, seconds=START)
        true = await Finished.of(scene.api, runs.name, "real-0")
        await _stop(scene)
        begun = time.time()
        await in_parallel(range(n), lambda number: true.put(scene.api, runs.name, number))
        taken = time.time() - begun
        say(f"{n} finished Runs, Jobs and pods were made in {taken:.0f} s, with no operator")
        figures: Figures = {"Runs that are finished": n}
        figures |= await _start(scene, 1, seconds=0)
        asked = await runs.post([1], name="real")
        figures["one: POST to Job of a new Run, s"] = (
            await runs.jobs.moment("real-1", "Job", seconds=START) - asked["real-1"]
        )
        await _stop(scene)
        figures |= await _start(scene, 2, seconds=seconds)
        await _stop(scene)
        return figures | await _struck(scene, runs)


async def _struck(scene: Scene, runs: Space) -> Figures:
    """Start two, and delete the one that leads while it still loads; a Run waits for the other.

    The Run says when that is over: one that does not lead is Ready all the time.
    """
    begun = time.time()
    await release.scale(scene.api, release.OPERATOR, 2)
    first = await _leader(scene, begun)
    await asyncio.sleep(LOADS_FOR)
    await handover.deleted(scene, scene.lease.holder(), 0)
    struck = time.time()
    await runs.post([2], name="real")
    end = await runs.jobs.moment("real-2", "Job", seconds=START)
    found: Figures = {
        "deleted after it led for, s": struck - first,
        "longest without a renewal, s": scene.lease.largest_gap(first, end),
        "changes of leader": len(scene.lease.hand_overs(first, end)),
        "two wrote, s": overlap(scene.samples.steps(begun, end), wrote),
        "strike to the Job of a new Run, s": end - struck,
    }
    say(f"The leader was deleted while it loaded: a new Run had its Job {end - struck:.1f} s later")
    return prefixed("struck", found)


async def _leader(scene: Scene, begun: float) -> float:
    """Wait until one leads; return since when, in Unix seconds.

    Raises:
        TimeoutError: none did.
    """
    async with asyncio.timeout(START):
        while True:
            if led := scene.lease.first_after(begun):
                return led.stamp
            await asyncio.sleep(EVERY)


async def _stop(scene: Scene) -> None:
    await release.scale(scene.api, release.OPERATOR, 0)
    await release.ready_operators(scene.api, 0)


async def _start(scene: Scene, n: int, *, seconds: float) -> Figures:
    """Start operators; return how they took to it."""
    begun = time.time()
    await release.scale(scene.api, release.OPERATOR, n)
    await release.ready_operators(scene.api, n, seconds=START)
    ready = time.time()
    await asyncio.sleep(max(5.0, seconds))
    end = time.time()
    led = scene.lease.first_after(begun)
    first = led.stamp if led else end
    name = {1: "one", 2: "two"}[n]
    found: Figures = {
        "start to leading, s": first - begun,
        "start to all Ready, s": ready - begun,
        "longest without a renewal once it leads, s": scene.lease.largest_gap(first, end),
        "changes of leader": len(scene.lease.hand_overs(first, end)),
        "largest RSS, MiB": scene.samples.peak(begun, end),
        "CPU from start to end, s": _cpu(scene, begun, end),
    }
    say(f"{n} started: Ready after {ready - begun:.1f} s")
    return prefixed(name, found)


def _cpu(scene: Scene, begun: float, end: float) -> float:
    """Return the CPU seconds of all processes that started meanwhile."""
    used = {each.pod: each.cpu for each in scene.samples.taken if begun <= each.at <= end}
    return sum(used.values())
