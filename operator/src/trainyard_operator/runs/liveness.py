"""Whether an attempt's pod and Job still live. Pure.

Everything here errs on the side of "it lives": two programs of one Run must never run at once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from trainyard_operator.engine.conditions import is_true, parse_time
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.runs.outcome import MAIN, container_state

GIVEN_UP = timedelta(seconds=30)


def is_running(pod: Object) -> bool:
    """Tell whether the program runs."""
    return "running" in (container_state(pod, MAIN) or {})


def is_at_its_end(pod: Object) -> bool:
    """Tell whether all containers have ended: sidecars, too.

    Their states tell before the phase does, by seconds on a busy node.
    """
    status = pod.get("status") or {}
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    ended = bool(states) and all("terminated" in state for state in states)
    return ended or status.get("phase") in {"Succeeded", "Failed"}


def has_stopped(pod: Object) -> bool:
    """Tell whether the program has ended, or never will start."""
    if is_at_its_end(pod):
        return True
    return "terminated" in (container_state(pod, MAIN) or {})


def is_given_up(pod: Object, *, now: datetime) -> bool:
    """Tell whether a pod should have stopped long ago, as on a node that is gone."""
    doomed = pod["metadata"].get("deletionTimestamp")
    return bool(doomed) and now - parse_time(doomed) > GIVEN_UP


def unfinished(jobs: Iterable[Object]) -> tuple[Ref, ...]:
    """Return the Jobs among these that are neither done nor being deleted."""
    live = (job for job in jobs if "deletionTimestamp" not in job["metadata"])
    return tuple(Ref.of(job) for job in live if not _is_done(job.get("status") or {}))


def _is_done(status: Object) -> bool:
    return is_true(status, "Complete") or is_true(status, "Failed")
