"""Twelve namespaces watched by name, with N Runs in each, twice."""

import asyncio
import time
from contextlib import AsyncExitStack

import release
from figures import Figures, spread
from program import say
from scene import START, Space, prepared, space

SPACES = 12
WAVES = ("first", "second")


async def play(n: int, seconds: float) -> Figures:
    """Post *n* Runs in each, and as many again once the watches were idle for *seconds*."""
    figures: Figures = {"namespaces": SPACES, "Runs in each": len(WAVES) * n}
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(prepared(seconds=1.0))
        spaces = [
            await stack.enter_async_context(space(scene.api, f"watched-{number:02}"))
            for number in range(SPACES)
        ]
        names = [each.name for each in spaces]
        await stack.enter_async_context(release.upgraded({"operator.watchNamespaces": names}))
        await release.ready_operators(scene.api, 1)
        say(f"The operator watches {SPACES} namespaces by name")
        begun = time.time()
        for number, wave in enumerate(WAVES, 1):
            delays = await _wave(spaces, n, wave, total=number * n)
            for each, seconds_to_job in delays.items():
                figures[f"{wave} wave, {each[-10:]}: POST to Job, max, s"] = max(seconds_to_job)
            joined = [value for values in delays.values() for value in values]
            figures |= spread(f"{wave} wave, all: POST to Job", joined)
            if wave != WAVES[-1]:
                await asyncio.sleep(seconds)
        return figures | scene.operator(begun, time.time())


async def _wave(spaces: list[Space], n: int, wave: str, *, total: int) -> dict[str, list[float]]:
    """Post Runs everywhere at once; return how long each waited for its Job, by namespace."""
    asked = await asyncio.gather(*(each.post(range(n), name=wave) for each in spaces))
    for each in spaces:
        await each.runs.reached("Recorded", total, seconds=START)
    say(f"All {n * len(spaces)} Runs of the {wave} wave are Recorded")
    pairs = zip(spaces, asked, strict=True)
    return {each.name: each.jobs.delays("Job", since) for each, since in pairs}
