"""The tracking service hangs, then is down, with N Runs pending, cancels and promotions."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import outage
import promotion
from api import BenchError
from figures import Figures, prefixed, spread
from program import say
from promotion import Model
from scene import START, Scene, Space, prepared, space
from waiting import NOWHERE

TRIES = 5
PATIENCE = 120.0  # so long a cancel or a promotion may take


async def play(n: int, seconds: float) -> Figures:
    """Post *n* Runs while it hangs; it hangs, and is down, for *seconds* each."""
    async with prepared(seconds=1.0) as scene, space(scene.api) as runs:
        model = await promotion.published(scene.api, runs.name)
        await runs.post(range(TRIES), name="up", place=NOWHERE)
        acts = Acts(runs, model, iter([f"up-{number}" for number in range(TRIES)]))
        figures: Figures = {"Runs pending": n}
        figures |= await _phase("up", scene, acts, min(seconds, 30))
        async with outage.replaceable(scene.api, scene.image) as service:
            await service.hang()
            names = await runs.post(range(n))
            acts.names = iter(list(names))
            figures |= await _phase("hung", scene, acts, seconds)
            await service.end()
            figures |= await _phase("down", scene, acts, seconds)
            told = time.time()
            await service.come_back()
            back = time.time()
            say(f"The tracking service is back, {back - told:.0f} s after it was started")
            total = n + TRIES + 2
            recorded = await runs.runs.reached("Recorded", total, seconds=2 * START)
            figures |= {"back: ready to all Recorded, s": recorded - back}
        figures |= prefixed("back", scene.operator(back, recorded))
        left = [name for name in names if "Cancelled" not in runs.runs.when[name]]
        lost = len(runs.runs.lacking("Succeeded", left))
        return {**figures, "Runs that did not succeed": lost}


@dataclass(slots=True)
class Acts:
    """What users do meanwhile.

    Attributes:
        names: Runs to cancel.
    """

    runs: Space
    model: Model
    names: Iterator[str]


async def _phase(name: str, scene: Scene, acts: Acts, seconds: float) -> Figures:
    """Cancel and promote now and then; return how long each took, and what it cost."""
    begun = time.time()
    cancels: list[float] = []
    moves: list[float] = []
    for number in range(1, TRIES + 1):
        due = begun + seconds * number / (TRIES + 1)
        await asyncio.sleep(max(0.0, due - time.time()))
        await asyncio.gather(_cancel(acts, cancels), _move(acts, moves))
    await asyncio.sleep(max(0.0, begun + seconds - time.time()))
    end = time.time()
    say(f"{name} for {end - begun:.0f} s: {len(cancels)} cancels, {len(moves)} promotions")
    found: Figures = {"for, s": end - begun}
    found |= spread("cancel to Finished", cancels) | spread("promotion", moves)
    found["cancels, promotions that took too long"] = 2 * TRIES - len(cancels) - len(moves)
    found["requests to tracking per s"] = scene.samples.grown("tracking", begun, end)
    return prefixed(name, found | scene.operator(begun, end))


async def _cancel(acts: Acts, took: list[float]) -> None:
    try:
        took.append(await acts.runs.cancel(next(acts.names), seconds=PATIENCE))
    except BenchError as exc:
        say(f"cancel: {exc}")


async def _move(acts: Acts, took: list[float]) -> None:
    try:
        took.append(await acts.model.promote(seconds=PATIENCE))
    except BenchError as exc:
        say(f"promotion: {exc}")
