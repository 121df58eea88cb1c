"""How the operator holds under load and when others fail: one scenario at a time.

On the local cluster; see ../README.md.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))

import figures
import handover
import live
import loading
import namespaces
import program
import waiting

import tracking

# What is played, with how many Runs, for how many seconds.
SCENARIOS = {
    "live": (live, 1000, 120),
    "namespaces": (namespaces, 10, 30),
    "tracking": (tracking, 500, 180),
    "handover": (handover, 200, 30),
    "loading": (loading, 10_000, 60),
    "waiting": (waiting, 5000, 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=[*SCENARIOS, "all"])
    parser.add_argument("-n", type=int, help="Runs (namespaces: in each; handover: each time)")
    parser.add_argument("--seconds", type=float, help="how long what is looked at goes on")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    names = list(SCENARIOS) if options.scenario == "all" else [options.scenario]
    found = {}
    for name in names:
        scenario, n, seconds = SCENARIOS[name]
        print(f"\n==> {name}: {scenario.__doc__}", flush=True)
        work = scenario.play(options.n or n, options.seconds or seconds)
        found[name] = program.run("bench/load", work)
        print(f"\n{figures.shown(found[name])}\n\n{os.cpu_count()} cores for everything.")
        if options.out:
            options.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
