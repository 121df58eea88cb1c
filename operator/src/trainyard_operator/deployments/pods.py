"""Why a serving pod is not ready, in words that a user can act on. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainyard_api import serving as contract
from trainyard_api.conditions import ServingReason

from trainyard_operator.deployments.rollout import Failure
from trainyard_operator.engine import quota
from trainyard_operator.engine.conditions import find, is_true, parse_time
from trainyard_operator.engine.plan import Object
from trainyard_operator.termination import reported

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_TEXT = 1000


def failure_of(pods: Iterable[Object], child: Object) -> Failure | None:
    """Return the gravest failure of a child's pods, None while all that is seen is waiting."""
    found = [f for f in map(_failure, filter(_is_starting, pods)) if f is not None]
    if found:
        return max(found, key=lambda f: f.restarts)
    return _cannot_make_pods(child)


def unrest_of(pods: Iterable[Object]) -> Failure | None:
    """Return the last crash of the server that was restarted most, whether it is ready again."""
    servers = [_server(p) for p in pods if "deletionTimestamp" not in p["metadata"]]
    found = [f for f in map(_server_failure, filter(None, servers)) if f and f.restarts]
    return max(found, key=lambda f: f.restarts, default=None)


def tried_since(pods: Iterable[Object]) -> datetime | None:
    """Return since when the digest had its chance, None while no server of it has started.

    By the clock of a node, which may be wrong: it tells one try from another. Waiting for a node,
    an image or the tracking service is not held against it.
    """
    tries = [t for t in map(_tried_since, filter(_is_starting, pods)) if t]
    return max(tries, default=None)


def _is_starting(pod: Object) -> bool:
    # A pod that failed was evicted or lost its node: another is made in its place.
    gone = "deletionTimestamp" in pod["metadata"] or (pod.get("status") or {}).get("phase") in {
        "Failed",
        "Succeeded",
    }
    return not gone and not is_ready(pod)


def _tried_since(pod: Object) -> datetime | None:
    server = _server(pod)
    state, last = _states(server or {})
    running = (state.get("running") or {}).get("startedAt")
    if running and (not last or _is_waiting(last)):
        return parse_time(running)
    began = (last or state.get("terminated") or {}).get("startedAt")
    return parse_time(began) if began else None


def _states(container: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Return the present state, and how the container ended before."""
    return container.get("state") or {}, (container.get("lastState") or {}).get("terminated")


def _server(pod: Object) -> Mapping[str, Any] | None:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((s for s in statuses if s["name"] == contract.CONTAINER), None)


def is_ready(pod: Object) -> bool:
    """Tell whether the pod takes requests."""
    return is_true(pod.get("status") or {}, "Ready")


def _failure(pod: Object) -> Failure | None:
    status = pod.get("status") or {}
    placed = find(status, "PodScheduled") or {}
    if placed.get("status") == "False":
        told = str(placed.get("message") or "no node has room")
        return Failure("Unschedulable", told, waits=True)
    server = _server(pod)
    found = _server_failure(server) if server else None
    if found is not None:
        return found
    # What others put into the pod can keep it from being ready as well.
    every = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    foreign = (_foreign_failure(c) for c in every if c["name"] != contract.CONTAINER)
    return next((failure for failure in foreign if failure is not None), None)


def _server_failure(container: Mapping[str, Any]) -> Failure | None:
    state, last = _states(container)
    restarts = int(container.get("restartCount", 0))
    blocked = _blocked(container, state.get("waiting") or {})
    if blocked is not None:
        return blocked
    ended = state.get("terminated") or last
    return _crash(ended, state, restarts=max(restarts, 1)) if ended else None


def _blocked(container: Mapping[str, Any], waiting: Mapping[str, Any]) -> Failure | None:
    reason, told = waiting.get("reason", ""), str(waiting.get("message") or "")
    image = container.get("image", "")
    if reason == "InvalidImageName":
        why = f"{image} is no name of an image ({told or reason}): mend the runtime's image"
        return Failure("InvalidImageName", why, is_final=True)
    if reason in _IMAGE:
        why = f"image {image} cannot be pulled ({told or reason}): check the runtime's image"
        return Failure("ImagePullFailed", why, waits=True)
    if reason in _CONFIG:
        return Failure("ConfigMissing", f"the container cannot be made: {told}", waits=True)
    return None


def _foreign_failure(container: Mapping[str, Any]) -> Failure | None:
    """Tell what is wrong with a container that is not ours: never the digest's fault."""
    state, last = _states(container)
    blocked = _blocked(container, state.get("waiting") or {})
    ended = state.get("terminated") or (last if "waiting" in state else None)
    if blocked is not None:
        told = blocked.message
    elif ended and ended.get("exitCode"):
        last_words = _last_lines(str(ended.get("message") or ""))
        told = f"it ended with exit code {ended['exitCode']}: {last_words}"
    else:
        return None
    name = container["name"]
    why = f"container {name}, which was added to the pod from outside, is not well: {told}"
    return Failure("InjectedContainerFailed", why, waits=True)


def _crash(ended: Mapping[str, Any], state: Mapping[str, Any], *, restarts: int) -> Failure:
    if ended.get("reason") == "OOMKilled":
        message = "the server needs more memory than spec.resources.limits.memory: raise it"
        return Failure("OutOfMemory", message, restarts)
    told = reported(ended)
    if told.get("message"):
        text = str(told["message"])[:_TEXT]
        if _is_waiting(ended):
            # It is being tried again while it runs: then its time counts anew, not its restarts.
            return Failure(contract.SOURCE_UNAVAILABLE, text, waits="running" not in state)
        # Whatever reason it gives: a model can write here as well, and a reason is one of ours.
        return Failure(ServingReason.LOAD_FAILED, text, restarts)
    last = _last_lines(str(ended.get("message") or ""))
    message = f"the server ended with exit code {ended.get('exitCode')}: {last}"
    return Failure("ServerCrashed", message, restarts)


def _is_waiting(ended: Mapping[str, Any]) -> bool:
    """Tell whether the server ended while it waited for the tracking service."""
    told = reported(ended)
    return told.get("reason") == contract.SOURCE_UNAVAILABLE


def _last_lines(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])[-_TEXT:] or "it said nothing"


def is_stuck(child: Object) -> bool:
    """Tell whether the Deployment controller may not begin with new pods, by a quota for instance.

    It says no more than this, not even that it has seen what it was told, and never gives up.
    """
    told = find(child.get("status") or {}, "Progressing") or {}
    return bool(told.get("reason") == "ReplicaSetCreateError")


def _cannot_make_pods(child: Object) -> Failure | None:
    status = child.get("status") or {}
    refused = find(status, "Progressing" if is_stuck(child) else "ReplicaFailure") or {}
    if not is_stuck(child) and refused.get("status") != "True":
        return None
    message = str(refused.get("message", ""))
    reason, why = quota.refusal(message, ours=(contract.CONTAINER,)) or ("PodsRefused", message)
    return Failure(reason, why, waits=True)
