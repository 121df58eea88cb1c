"""Why a serving pod is not ready, in words that a user can act on. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trainyard_operator.deployments.rollout import Failure
from trainyard_operator.engine.conditions import find, is_true
from trainyard_operator.engine.plan import Object

_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_TEXT = 1000


def failure_of(pods: Iterable[Object], child: Object) -> Failure | None:
    """Return the gravest failure of a child's pods, None while all that is seen is waiting."""
    live = [p for p in pods if "deletionTimestamp" not in p["metadata"] and not is_ready(p)]
    found = [failure for failure in map(_failure, live) if failure is not None]
    if found:
        return max(found, key=lambda f: f.restarts)
    return _cannot_make_pods(child)


def is_ready(pod: Object) -> bool:
    """Tell whether the pod takes requests."""
    return is_true(pod.get("status") or {}, "Ready")


def placed_at(pod: Object) -> str:
    """Return when the pod got its node (RFC 3339), empty if it waits for one."""
    placed = find(pod.get("status") or {}, "PodScheduled") or {}
    return str(placed.get("lastTransitionTime") or "") if placed.get("status") == "True" else ""


def _failure(pod: Object) -> Failure | None:
    status = pod.get("status") or {}
    placed = find(status, "PodScheduled") or {}
    if placed.get("status") == "False":
        return Failure("Unschedulable", str(placed.get("message") or "no node has room"))
    for container in status.get("containerStatuses") or ():
        failure = _container_failure(container)
        if failure is not None:
            return failure
    return None


def _container_failure(container: Mapping[str, Any]) -> Failure | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    restarts = int(container.get("restartCount", 0))
    reason, told = waiting.get("reason", ""), str(waiting.get("message") or "")
    image = container.get("image", "")
    if reason in _IMAGE:
        why = f"image {image} cannot be pulled ({told or reason}): check the runtime's image"
        return Failure("ImagePullFailed", why, restarts)
    if reason in _CONFIG:
        return Failure("ConfigMissing", f"the container cannot be made: {told}", restarts)
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    return _crash(ended, restarts=max(restarts, 1)) if ended else None


def _crash(ended: Mapping[str, Any], *, restarts: int) -> Failure:
    if ended.get("reason") == "OOMKilled":
        message = "the server needs more memory than spec.resources.limits.memory: raise it"
        return Failure("OutOfMemory", message, restarts)
    text = str(ended.get("message") or "").strip()
    told = _json(text)
    if told.get("message"):
        reason = str(told.get("reason") or "LoadFailed")
        return Failure(reason, str(told["message"])[:_TEXT], restarts)
    last = " / ".join(text.splitlines()[-3:])[-_TEXT:] or "it said nothing"
    return Failure(
        "ServerCrashed",
        f"the server ended with exit code {ended.get('exitCode')}: {last}",
        restarts,
    )


def _json(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _cannot_make_pods(child: Object) -> Failure | None:
    refused = find(child.get("status") or {}, "ReplicaFailure") or {}
    if refused.get("status") != "True":
        return None
    message = str(refused.get("message", ""))
    return Failure("QuotaExceeded" if "quota" in message else "PodsRefused", message)
