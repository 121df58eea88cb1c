"""Whether two processes led, or wrote, at the same time. Pure."""

from collections.abc import Callable, Iterable
from itertools import permutations

from samples import Sample

Step = tuple[str, float, Sample, Sample]
Does = Callable[[Sample, Sample], bool]


def wrote(old: Sample, new: Sample) -> bool:
    return new.writes > old.writes


def led(old: Sample, new: Sample) -> bool:
    return old.leads and new.leads


def overlap(steps: Iterable[Step], does: Does) -> float:
    """Return for how many seconds a process did something that a later one did already.

    Only what is certain counts: what a step shows happened after its first sample was asked for,
    and before its second one was answered. A process that lost the lease ends, so each has one
    time in which it does it, from the first step to the last.
    """
    first: dict[tuple[str, float], float] = {}
    last: dict[tuple[str, float], float] = {}
    for pod, born, old, new in steps:
        if does(old, new):
            first.setdefault((pod, born), new.at)
            last[pod, born] = old.began
    both = [
        min(last[one], last[other]) - first[other]
        for one, other in permutations(first, 2)
        if first[one] <= first[other]
    ]
    return max(0.0, *both) if both else 0.0
