"""N finished Runs, with Jobs and pods, are there when operators start: first one, then two."""

import asyncio
import time

import release
from figures import Figures, prefixed
from finished import Finished
from posting import in_parallel
from program import say
from scene import START, Scene, prepared, space

EVERY = 0.5


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
        return figures | await _start(scene, 2, seconds=seconds)


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
