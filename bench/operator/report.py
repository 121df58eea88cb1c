"""Figures from windows, and how they are shown. Pure."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from readings import WRITES, Counts
from window import Window

TARGETS = {
    "all Finished / all Complete": "≤ 1.3",
    "operator's API writes per Run": "≤ 5",
    "operator's CPU per Run, ms": "≤ 8",
    "operator's peak RSS, MiB": "≤ 120",
}
# Whatever happens to these while Runs are measured is the operator's doing.
_OWN = frozenset({"secrets", "runs/status.trainyard.dev", "jobs.batch"})
_EVENTS, _LEASE = "POST events.events.k8s.io", "PUT leases.coordination.k8s.io"
_SHOWN = 0.02


@dataclass(frozen=True, slots=True)
class Round:
    """As many Runs as bare Jobs, one after the other."""

    jobs: Window
    runs: Window


def figures(each: Round) -> dict[str, float]:
    """Return the figures of a round by name."""
    jobs, runs, n = each.jobs, each.runs, each.runs.n
    complete, finished = jobs.seconds["Complete"], runs.seconds["Finished"]
    counted = sum(count for method, count in runs.cost.requests.items() if method in WRITES)
    return {
        "Jobs posted, s": jobs.posted,
        "Jobs: all Complete, s": complete,
        "Runs posted, s": runs.posted,
        "Runs: all Finished, s": finished,
        "Runs: all Recorded, s": runs.seconds["Recorded"],
        "all Finished / all Complete": finished / complete,
        "all Recorded / all Complete": runs.seconds["Recorded"] / complete,
        "operator's API writes per Run": counted / n,
        "operator's CPU per Run, ms": 1000 * runs.cost.operator["cpu"] / n,
        "operator's peak RSS, MiB": runs.peak,
        "operator's API reads per Run": runs.cost.requests.get("GET", 0) / n,
        "reconciles per Run": runs.cost.operator["reconciles"] / n,
        "calls of the tracking service per Run": runs.cost.operator["tracking calls"] / n,
        "bytes of log shipped per Run": runs.cost.operator.get("log bytes", 0) / n,
        "API server's CPU per Job, ms": 1000 * jobs.cost.api_cpu / n,
        "API server's CPU per Run, ms": 1000 * runs.cost.api_cpu / n,
        "CPU of this client per Job, ms": 1000 * jobs.client / n,
        "CPU of this client per Run, ms": 1000 * runs.client / n,
    }


def own_writes(runs: Window) -> Counts:
    """Return the operator's writes by verb and resource, as the API server counted them."""
    own = {key: n for key, n in runs.cost.writes.items() if key.partition(" ")[2] in _OWN}
    # Others tell Events and renew leases, too: these are known by who told, and by who counted.
    return own | {_EVENTS: runs.told, _LEASE: runs.cost.requests.get("PUT", 0)}


def shown(rounds: Sequence[Round]) -> str:
    """Return all figures as text."""
    return f"{_figures(rounds)}\n\n{_writes(rounds)}"


def _figures(rounds: Sequence[Round]) -> str:
    all_of = [figures(each) for each in rounds]
    heads = [f"round {number}" for number in range(1, len(rounds) + 1)]
    lines = [_row("", [*heads, "mean", "target"])]
    for name in all_of[0]:
        values = [each[name] for each in all_of]
        numbers = [f"{value:.2f}" for value in (*values, statistics.fmean(values))]
        lines.append(_row(name, [*numbers, TARGETS.get(name, "")]))
    return "\n".join(lines)


def _writes(rounds: Sequence[Round]) -> str:
    """Tell whose the writes are: the operator's, or what Jobs and pods cost anyhow."""
    jobs = _mean([each.jobs.cost.writes for each in rounds], rounds)
    runs = _mean([each.runs.cost.writes for each in rounds], rounds)
    own = _mean([own_writes(each.runs) for each in rounds], rounds)
    heads = ["per Job", "per Run", "operator", "others'"]
    lines = [_row("API writes, mean of the rounds", heads)]
    for key in sorted(jobs | runs, key=lambda key: -runs.get(key, 0)):
        values = [jobs.get(key, 0), runs.get(key, 0), own.get(key, 0)]
        if max(values) >= _SHOWN:
            lines.append(_row(f"  {key}", [f"{v:.2f}" for v in (*values, values[1] - values[2])]))
    sums = [sum(jobs.values()), sum(runs.values()), sum(own.values())]
    lines.append(_row("  all", [f"{v:.2f}" for v in (*sums, sums[1] - sums[2])]))
    return "\n".join(lines)


def _mean(counts: Sequence[Counts], rounds: Sequence[Round]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for each in counts:
        for key, count in each.items():
            total[key] += count / rounds[0].runs.n / len(rounds)
    return dict(total)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<42}" + "".join(f"{cell:>11}" for cell in cells)
