"""What ended a pod from outside: eviction, preemption, a deletion, its node. Pure, table-driven.

It decides before the exit code: a program that saves its work when it is told to leave
(SIGTERM) exits with 0, and is not done. Only one that had surely ended before is judged by its
code. Where the two moments come from different clocks, doubt says: it was told.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from trainyard_operator.engine.conditions import find, parse_time
from trainyard_operator.engine.plan import Object

# Times have whole seconds, and the kubelet takes up a pod a moment after it was placed.
MARGIN = timedelta(seconds=5)

# Reason of the pod's DisruptionTarget condition → (our reason, message).
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "A pod of higher priority took the place"),
    "EvictionByEvictionAPI": ("Evicted", "The pod was evicted, as when a node is drained"),
    "DeletionByTaintManager": ("Evicted", "The node got a taint that the pod does not tolerate"),
    "TerminationByKubelet": ("Evicted", "The node ended the pod: it ran short, or shut down"),
    "DeletionByPodGC": ("PodLost", "The pod's node is gone"),
}
# Those that are set before the program is told. The kubelet tells only once all is over.
_TOLD_AT = frozenset(_DISRUPTIONS) - {"TerminationByKubelet"}
# Reason of the pod's status → the same.
_POD_REASONS = {
    "Evicted": ("Evicted", "The node evicted the pod"),
    "Preempting": ("Preempted", "A pod of higher priority took the place"),
    "Preempted": ("Preempted", "A pod of higher priority took the place"),
    "NodeLost": ("PodLost", "The pod's node is gone"),
    "NodeShutdown": ("Evicted", "The node shut down"),
    "Terminated": ("Evicted", "The node shut down"),
    "Shutdown": ("Evicted", "The node shut down"),
    "DeadlineExceeded": ("TimedOut", "The pod lived longer than its activeDeadlineSeconds"),
}
_DELETED = (
    "PodLost",
    "Somebody deleted the pod, or its Job, while the program ran: how it exits then does not count",
)


def disruption_of(pod: Object, ended: Mapping[str, Any] | None = None) -> tuple[str, str] | None:
    """Return (reason, message) of what ended the pod from outside, None if nothing did.

    Args:
        ended: The `terminated` state of the container in question, if it has ended.
    """
    status = pod.get("status") or {}
    target = find(status, "DisruptionTarget") or {}
    if target.get("status") == "True":
        why = str(target.get("reason", ""))
        told_at = target.get("lastTransitionTime") if why in _TOLD_AT else None
        reason, message = _DISRUPTIONS.get(why, ("Evicted", "Evicted"))
        return _unless_before(pod, ended, told_at, (reason, _said(message, target)))
    if status.get("reason"):
        reason, message = _POD_REASONS.get(status["reason"], ("Evicted", ""))
        # Others, such as OutOfcpu and NodeAffinity, are the kubelet's refusals to admit a pod.
        message = message or f"The node did not take the pod ({status['reason']})"
        return reason, _said(message, status)
    if "deletionTimestamp" in pod["metadata"]:
        return _unless_before(pod, ended, _deleted_at(pod), _DELETED)
    return None


def told_at(pod: Object) -> datetime | None:
    """Return when a pod was told to leave, by the control plane's clock; None if unknown."""
    target = find(pod.get("status") or {}, "DisruptionTarget") or {}
    is_target = target.get("status") == "True"
    stamp = target.get("lastTransitionTime") if is_target else None
    if stamp is None and "deletionTimestamp" in pod["metadata"]:
        stamp = _deleted_at(pod)
    return parse_time(stamp) if stamp else None


def _said(message: str, by: Mapping[str, Any]) -> str:
    return f"{message}: {by['message']}" if by.get("message") else message


def _deleted_at(pod: Object) -> str | None:
    # deletionTimestamp is the end of the grace time, not its beginning.
    meta = pod["metadata"]
    grace = meta.get("deletionGracePeriodSeconds")
    if grace is None:
        return None
    return (parse_time(meta["deletionTimestamp"]) - timedelta(seconds=int(grace))).isoformat()


def _unless_before(
    pod: Object, ended: Mapping[str, Any] | None, told_at: str | None, told: tuple[str, str]
) -> tuple[str, str] | None:
    finished = (ended or {}).get("finishedAt")
    if not finished or told_at is None:
        return told
    latest = max(parse_time(finished), cluster_time(pod, finished))
    return None if latest + MARGIN <= parse_time(told_at) else told


def cluster_time(pod: Object, stamp: str) -> datetime:
    """Return a time of the node's clock by that of the control plane, as far as it is known.

    The scheduler wrote when it placed the pod, the node when it took it up: the difference is
    that of their clocks, and a moment.
    """
    status = pod.get("status") or {}
    placed = find(status, "PodScheduled") or {}
    taken, given = status.get("startTime"), placed.get("lastTransitionTime")
    if placed.get("status") != "True" or not taken or not given:
        return parse_time(stamp)
    return parse_time(stamp) - (parse_time(taken) - parse_time(given))
