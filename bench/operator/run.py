"""What N Runs cost beside N bare Jobs: seconds, API writes, the operator's CPU and memory.

On the local cluster, with fake nodes and the controllers' limits raised; see ../README.md.
"""

import argparse
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))

import fake_nodes
import kubelet_pod
import limits
import program
import report
from api import Api, connected, namespace
from loads import BARE_JOBS, TRAINYARD_RUNS, Load
from program import say
from readings import Operator, find_operator
from window import Window, measure

WARM_UP = 20
POD_SECONDS = 1.0
SPACE = f"trainyard-bench-{os.getpid()}"


async def bench(n: int, rounds: int, rate: float) -> list[report.Round]:
    """Measure; leaves the cluster as it was."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(connected())
        operator = await find_operator(api)
        say("The controllers' limits are raised, and fake nodes made")
        await stack.enter_async_context(limits.raised(api))
        space = await stack.enter_async_context(namespace(api, SPACE))
        address = await kubelet_pod.start(api, space, image=operator.image, seconds=POD_SECONDS)
        playing = fake_nodes.playing(api, address=address, seconds=POD_SECONDS)
        await stack.enter_async_context(playing)
        await one_round(api, operator, WARM_UP, rate=0, runs_first=False)
        return [
            await one_round(api, operator, n, rate=rate, runs_first=bool(number % 2))
            for number in range(rounds)
        ]


async def one_round(
    api: Api, operator: Operator, n: int, *, rate: float, runs_first: bool
) -> report.Round:
    """Measure both, in an order that takes turns."""
    if runs_first:
        runs = await one(api, operator, TRAINYARD_RUNS, n, rate)
        return report.Round(await one(api, operator, BARE_JOBS, n, rate), runs)
    jobs = await one(api, operator, BARE_JOBS, n, rate)
    return report.Round(jobs, await one(api, operator, TRAINYARD_RUNS, n, rate))


async def one(api: Api, operator: Operator, load: Load, n: int, rate: float) -> Window:
    """Measure one load in a namespace of its own, gone before the next begins."""
    name = f"{SPACE}-{load.name.lower()}"
    async with namespace(api, name, gone_in=600 + n / 5) as space:
        window = await measure(api, operator, load, n, space, rate=rate)
    times = ", ".join(f"all {mark} in {s:.1f} s" for mark, s in window.seconds.items())
    say(f"{n} {load.name}: {times}")
    return window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=500, help="Runs, and Jobs, in a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--rate", type=float, default=0, help="so many a second, with cores to spare; else at once"
    )
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    rounds = program.run("bench/operator", bench(options.n, options.rounds, options.rate))
    print(f"\n{options.n} Runs and {options.n} bare Jobs, pods of {POD_SECONDS:.0f} s on kwok's")
    print(f"nodes, {os.cpu_count()} cores for everything, this client included.\n")
    print(report.shown(rounds))
    if options.out:
        options.out.write_text(json.dumps([report.figures(each) for each in rounds], indent=2))


if __name__ == "__main__":
    main()
