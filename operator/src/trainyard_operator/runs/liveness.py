"""Whether an attempt's pod and Job still live. Pure.

Everything here errs on the side of "it lives": two programs of one Run must never run at once.
The exception is a pod that its node should have ended long ago: nothing is heard of a node that
died, so it is given up, as a plain Job does at once. If such a node only lost its network, its
program may run on beside the next attempt's until the node hears of the deletion.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from trainyard_operator.engine.conditions import is_true, parse_time
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.runs.disruption import cluster_time
from trainyard_operator.runs.outcome import MAIN, container_state

GIVEN_UP = timedelta(seconds=30)
# How long after the end of `main` the pod may yet say why: a second, but on a busy node. Once
# over, the code counts. With a sidecar that runs on, the pod may never say it.
SETTLING = timedelta(minutes=1)
SETTLING_BESIDE_SIDECAR = timedelta(seconds=5)


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
    left = given_up_in(pod, now=now)
    return left is not None and left <= timedelta(0) and not has_stopped(pod)


def given_up_in(pod: Object, *, now: datetime) -> timedelta | None:
    """Return when a pod that does not stop is given up, None if nobody told it to."""
    doomed = pod["metadata"].get("deletionTimestamp")
    # deletionTimestamp is when its grace time ends.
    return parse_time(doomed) + GIVEN_UP - now if doomed else None


def is_settling(pod: Object, *, now: datetime) -> bool:
    """Tell whether `main` has ended, and the pod may not have said yet what ended it.

    A node that evicts, or shuts down, tells the containers' ends before its own reason.
    """
    ended = (container_state(pod, MAIN) or {}).get("terminated")
    status = pod.get("status") or {}
    if not ended or "deletionTimestamp" in pod["metadata"] or not ended.get("finishedAt"):
        return False
    if status.get("phase") in {"Succeeded", "Failed"}:
        return False
    patience = SETTLING if is_at_its_end(pod) else SETTLING_BESIDE_SIDECAR
    return now - cluster_time(pod, ended["finishedAt"]) < patience


def unfinished(jobs: Iterable[Object]) -> tuple[Ref, ...]:
    """Return the Jobs among these that are neither done nor being deleted."""
    live = (job for job in jobs if "deletionTimestamp" not in job["metadata"])
    return tuple(Ref.of(job) for job in live if not _is_done(job.get("status") or {}))


def _is_done(status: Object) -> bool:
    return is_true(status, "Complete") or is_true(status, "Failed")
