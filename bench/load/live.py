"""N Runs live at once, each with a log that goes on; some are cancelled; then all end."""

import asyncio
import time

import kubelet_pod
from api import BenchError
from board import RUN_PATH
from figures import Figures, prefixed, spread
from program import command, say
from scene import START, Scene, Space, prepared, space
from trainyard_cluster import paths

CANCELLED = 20
LOGS = 5


async def play(n: int, seconds: float) -> Figures:
    """Have *n* Runs live for *seconds*."""
    async with prepared(seconds=None) as scene, space(scene.api) as runs:
        begun = time.time()
        asked = await runs.post(range(n))
        running = await runs.runs.reached("Running", n, seconds=START)
        say(f"{n} Runs run after {running - begun:.1f} s; they live for {seconds:.0f} s")
        figures: Figures = {"Runs": n, "all Running after POST, s": running - begun}
        figures |= await _live(scene, runs, list(asked), running + seconds)
        return figures | await _end(scene, runs, list(asked))


async def _live(scene: Scene, runs: Space, names: list[str], until: float) -> Figures:
    """Look at the operator while all are live, and cancel some, spread over the time."""
    begun, cancels, followed = time.time(), [], []
    chosen = names[:: max(1, len(names) // CANCELLED)][:CANCELLED]
    for number, name in enumerate(chosen, 1):
        cancels.append(await runs.cancel(name))
        # A kubelet ends the log of a container that it kills.
        await kubelet_pod.end(scene.api, scene.home, f"{runs.name}/{name}-")
        followed.append(await kubelet_pod.following(scene.api, scene.home))
        due = begun + (until - begun) * number / len(chosen)
        await asyncio.sleep(max(0.0, due - time.time()))
    end = time.time()
    files = [each.files for each in scene.samples.taken if begun <= each.at <= end]
    figures = {
        "live for, s": end - begun,
        "logs followed at once, at most": max(followed),
        "operator: open files, at most": max(files, default=0),
        "operator: writes per s": scene.samples.grown("writes", begun, end),
    }
    return figures | scene.operator(begun, end) | spread("cancel to Finished", cancels)


async def _end(scene: Scene, runs: Space, names: list[str]) -> Figures:
    """End all that is left, and see that nothing is lost."""
    begun = await scene.end_programs()
    n = len(names)
    finished = await runs.runs.reached("Finished", n, seconds=START) - begun
    recorded = await runs.runs.reached("Recorded", n, seconds=START) - begun
    now = time.time()
    say(f"All Finished {finished:.1f} s and Recorded {recorded:.1f} s after their end")
    left = [name for name in names if "Cancelled" not in runs.runs.when[name]]
    lost = runs.runs.lacking("Succeeded", left)
    logs = left[:: max(1, len(left) // LOGS)][:LOGS]
    whole = [name for name in logs if await _has_whole_log(runs, name)]
    figures = {
        "end to all Finished, s": finished,
        "end to all Recorded, s": recorded,
        "Runs that did not succeed": len(lost),
        "Runs without an archived log": len(left) - await _archived(runs, left),
        f"whole logs, of {len(logs)} looked at": len(whole),
    }
    return figures | prefixed("at the end", scene.operator(begun, now))


async def _archived(runs: Space, names: list[str]) -> int:
    items = (await runs.api.get(RUN_PATH.format(runs.name)))["items"]
    kept = {item["metadata"]["name"] for item in items if item["status"].get("logArtifact")}
    return len(kept.intersection(names))


async def _has_whole_log(runs: Space, name: str) -> bool:
    trainyard = paths.REPOSITORY / ".venv" / "bin" / "trainyard"
    try:
        log = await command(trainyard, "logs", name, "--namespace", runs.name, seconds=60)
    except BenchError as exc:
        say(f"log of {name}: {exc}")
        return False
    return log.count("epoch 1") == 1 and log.count("epoch 2") == 1
