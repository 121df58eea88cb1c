"""Two replicas, and the leader is deleted, killed, cut off or stopped with N Runs in flight."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import node
import release
from board import JOB_PATH, RUN_PATH
from figures import Figures, prefixed
from overlaps import led, overlap, wrote
from program import say
from readings import SYSTEM
from scene import START, Scene, Space, prepared, space
from trainyard_api.contract import ATTEMPT_LABEL, RUN_LABEL

EVERY = 0.25
POD_SECONDS = 5.0
Way = Callable[[Scene, str, float], Awaitable[None]]


async def play(n: int, seconds: float) -> Figures:
    """Post *n* Runs and end the leader, in each way; what is undone is so after *seconds*."""
    figures: Figures = {"Runs each time": n}
    async with (
        prepared(seconds=POD_SECONDS, every=EVERY) as scene,
        release.scaling(scene.api, release.OPERATOR),
    ):
        await release.scale(scene.api, release.OPERATOR, 2)
        for name, way in WAYS.items():
            await release.ready_operators(scene.api, 2)
            await asyncio.sleep(3)  # the standby has seen the lease
            async with space(scene.api) as runs:
                found = await _hand_over(scene, runs, n, way, seconds)
            say(f"Leader {name}: {found['longest without a renewal, s']:.1f} s without a leader")
            figures |= prefixed(name, found)
    return figures


async def _hand_over(scene: Scene, runs: Space, n: int, way: Way, seconds: float) -> Figures:
    """Disturb the leader while Runs are posted and begin."""
    begun, leader = time.time(), scene.lease.holder()
    posting = asyncio.create_task(runs.post(range(n)))
    await runs.jobs.reached("Job", max(1, n // 4), seconds=START)
    struck = time.time()
    await way(scene, leader, seconds)
    names = list(await posting)
    finished = await runs.runs.reached("Finished", n, seconds=START)
    recorded = await runs.runs.reached("Recorded", n, seconds=START)
    await asyncio.sleep(2)  # last writes
    end = time.time()
    steps = scene.samples.steps(begun, end)
    return {
        "longest without a renewal, s": scene.lease.largest_gap(struck - 3, end),
        "hand-overs": len(scene.lease.hand_overs(begun, end)),
        "two wrote, s": overlap(steps, wrote),
        "two said that they lead, s": overlap(steps, led),
        "strike to all Finished, s": finished - struck,
        "strike to all Recorded, s": recorded - struck,
        "Runs that did not succeed": len(runs.runs.lacking("Succeeded", names)),
        **await _counted(runs, n),
    }


async def _counted(runs: Space, n: int) -> Figures:
    """Compare the Jobs that there are with the attempts that there should be."""
    items = (await runs.api.get(JOB_PATH.format(runs.name)))["items"]
    labels = [item["metadata"]["labels"] for item in items]
    jobs = Counter((each[RUN_LABEL], each[ATTEMPT_LABEL]) for each in labels)
    found = (await runs.api.get(RUN_PATH.format(runs.name)))["items"]
    attempts = sum(item["status"].get("attemptCount", 0) for item in found)
    return {
        "attempts with two Jobs": sum(count > 1 for count in jobs.values()),
        "Jobs less attempts": len(items) - attempts,
        "attempts beyond the first": attempts - n,
    }


async def _left_alone(_: Scene, __: str, ___: float) -> None:
    """Show what is so without a strike."""


async def deleted(scene: Scene, leader: str, _: float) -> None:
    """Delete the leader's pod without grace."""
    path = f"{_path(leader)}?gracePeriodSeconds=0"
    await scene.api.delete(path)


async def _killed(_: Scene, leader: str, __: float) -> None:
    await node.signal(leader, "KILL")


async def _cut_off(scene: Scene, leader: str, seconds: float) -> None:
    pod = await scene.api.get(_path(leader))
    async with node.cut_off(pod["status"]["podIP"]):
        await asyncio.sleep(seconds)


async def _stopped(_: Scene, leader: str, seconds: float) -> None:
    await node.signal(leader, "STOP")
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.shield(node.signal(leader, "CONT"))


def _path(pod: str) -> str:
    return f"/api/v1/namespaces/{SYSTEM}/pods/{pod}"


WAYS: dict[str, Way] = {
    "left alone": _left_alone,
    "deleted": deleted,
    "killed": _killed,
    "cut off": _cut_off,
    "stopped": _stopped,
}
