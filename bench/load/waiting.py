"""N Runs wait for a node that never comes; how long does a new one wait for its Job?"""

import asyncio
import time

from figures import Figures, spread
from program import say
from scene import START, prepared, space

SAMPLES = 20
NOWHERE = {"nodeSelector": {"trainyard.dev/bench": "nowhere"}}


async def play(n: int, seconds: float) -> Figures:
    """Have *n* Runs wait, look at the operator for *seconds*, then post others."""
    async with prepared(seconds=1.0) as scene, space(scene.api) as runs:
        begun = time.time()
        await runs.post(range(n), place=NOWHERE)
        made = await runs.jobs.reached("Job", n, seconds=2 * START)
        say(f"{n} Runs have their Jobs after {made - begun:.1f} s, and wait")
        await asyncio.sleep(min(seconds, 30))  # the scheduler has said so of all, and told
        quiet = time.time()
        await asyncio.sleep(seconds)
        rested = time.time()
        figures: Figures = {"Runs that wait": n, "all have a Job after POST, s": made - begun}
        figures |= scene.operator(quiet, rested)
        figures["operator: writes per s"] = scene.samples.grown("writes", quiet, rested)
        delays = []
        for number in range(SAMPLES):
            asked = await runs.post([number], name="new")
            (name,) = asked
            delays.append(await runs.jobs.moment(name, "Job", seconds=START) - asked[name])
        await runs.runs.reached("Recorded", SAMPLES, seconds=START)
        say(f"{SAMPLES} new Runs, one after another, had their Jobs and are Recorded")
        return figures | spread("POST to Job of a new Run", delays)
