"""How an attempt ended, from what its pod shows. Pure, table-driven.

Only the container `main` counts: a sidecar that never exits, or exits badly, changes nothing.
Whose fault an end is decides whether it is tried again (retry.py). Why a pod does not start
is waiting.py's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from trainyard_operator.engine.conditions import find
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.scheduling import doubled

MAIN = "main"
SOURCE = "source"
TAIL_LINES = 10
_LINE_LIMIT = 400


class Fault(Enum):
    """Whose fault an end is."""

    NOBODY = auto()
    USER = auto()
    INFRASTRUCTURE = auto()
    FINAL = auto()
    """Trying the same again cannot help, or is not wanted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt.

    Attributes:
        started, finished: RFC 3339 times of `main`, empty if it never ran.
    """

    reason: str
    message: str
    fault: Fault
    exit_code: int | None = None
    started: str = ""
    finished: str = ""
    log_tail: tuple[str, ...] = ()


COMPLETED = "Completed"
LOST = Outcome(
    "PodLost",
    "The pod is gone, and nothing tells how it ended: its node was lost, or somebody deleted"
    " the pod or its Job",
    Fault.INFRASTRUCTURE,
)

# Reason of the pod's DisruptionTarget condition → (our reason, message).
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "A pod of higher priority took the place"),
    "EvictionByEvictionAPI": ("Evicted", "The pod was evicted, as when a node is drained"),
    "DeletionByTaintManager": ("Evicted", "The node got a taint that the pod does not tolerate"),
    "TerminationByKubelet": ("Evicted", "The node ended the pod: it ran short, or shut down"),
    "DeletionByPodGC": ("PodLost", "The pod's node is gone"),
}
# Reason of the pod's status → the same.
_POD_REASONS = {
    "Evicted": ("Evicted", "The node evicted the pod"),
    "Preempting": ("Preempted", "A pod of higher priority took the place"),
    "Preempted": ("Preempted", "A pod of higher priority took the place"),
    "NodeLost": ("PodLost", "The pod's node is gone"),
    "NodeShutdown": ("Evicted", "The node shut down"),
    "Terminated": ("Evicted", "The node shut down"),
    "Shutdown": ("Evicted", "The node shut down"),
}
_START_FAILURES = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
_NOT_IN_IMAGE = "spec.command[0] is not in the image (is it spelled right, and in $PATH?)"
# What the runtime says of the program itself → the fix; whatever else it says is the node's.
_NOT_STARTED = (
    (re.compile(r'exec: "[^"]*": .*(not found in|no such file)'), _NOT_IN_IMAGE),
    (
        re.compile(r'exec: "[^"]*": permission denied'),
        "spec.command[0] is not executable: name its interpreter first, or chmod +x it",
    ),
    (
        re.compile(r"exec .*: exec format error"),
        (
            "spec.command[0] is no program of this machine: begin a script with #!, or use an image"
            " built for the nodes' architecture"
        ),
    ),
    (re.compile(r'exec: "[^"]*": is a directory'), "spec.command[0] is a folder: name a program"),
    (re.compile(r"chdir to cwd"), "the folder to start in (source.git.path) is not in the code"),
)
_KILLED = 137
_EXIT_CODES = {
    126: "the program is not executable",
    127: "a program was not found",
    137: "it was killed (SIGKILL)",
    139: "it crashed (SIGSEGV)",
    143: "it was told to stop (SIGTERM)",
}


def outcome_of(pod: Object) -> Outcome | None:
    """Return how the attempt ended, None while it has not."""
    main = container_state(pod, MAIN)
    ended = (main or {}).get("terminated")
    if ended:
        return _of_main(pod, ended)
    if (pod.get("status") or {}).get("phase") != "Failed":
        return _of_source(pod)
    return _disrupted(pod) or _of_source(pod) or LOST


def container_state(pod: Object, name: str) -> Mapping[str, Any] | None:
    """Return the state of a container, {running|waiting|terminated: …}; None if unknown."""
    found = container_status(pod, name)
    return None if found is None else found.get("state") or {}


def container_status(pod: Object, name: str) -> Mapping[str, Any] | None:
    """Return the status of a container or init container."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == name:
                found: Mapping[str, Any] = each
                return found
    return None


def commit_of(pod: Object) -> str:
    """Return the git commit that the init container reports, empty if none."""
    ended = (container_state(pod, SOURCE) or {}).get("terminated") or {}
    return str(_reported(ended.get("message")).get("commit", ""))


def _of_main(pod: Object, ended: Mapping[str, Any]) -> Outcome:
    code = int(ended.get("exitCode", 0))
    times = (_time(ended, "startedAt"), _time(ended, "finishedAt"))
    if code == 0:
        return Outcome(COMPLETED, "The program exited with code 0", Fault.NOBODY, 0, *times)
    reason, message, fault = _failure(pod, ended, code)
    return Outcome(reason, message, fault, code, *times, tail_of(ended.get("message")))


def _time(ended: Mapping[str, Any], field: str) -> str:
    found = str(ended.get(field) or "")
    # A container that never started "started" in 1970.
    return "" if found.startswith("1970-") else found


def _failure(pod: Object, ended: Mapping[str, Any], code: int) -> tuple[str, str, Fault]:
    disrupted = _disrupted(pod)
    if disrupted:
        return disrupted.reason, disrupted.message, disrupted.fault
    why = ended.get("reason")
    if why == "OOMKilled" or (code == _KILLED and _is_likely_memory(pod)):
        return "OutOfMemory", _out_of_memory(pod), Fault.USER
    if why in _START_FAILURES:
        return _not_started(str(ended.get("message", "")))
    if why == "ContainerStatusUnknown" or pod["metadata"].get("deletionTimestamp"):
        return LOST.reason, LOST.message, LOST.fault
    return "ExitCode", _exit_message(code, tail_of(ended.get("message"))), Fault.USER


def _disrupted(pod: Object) -> Outcome | None:
    status = pod.get("status") or {}
    target = find(status, "DisruptionTarget") or {}
    if target.get("status") == "True":
        reason, message = _DISRUPTIONS.get(target.get("reason", ""), ("Evicted", "Evicted"))
        return _infrastructure(reason, message, target.get("message"))
    if status.get("reason"):
        reason, message = _POD_REASONS.get(status["reason"], ("", ""))
        # Others, such as OutOfcpu and NodeAffinity, are the kubelet's refusals to admit a pod.
        message = message or f"The node did not take the pod ({status['reason']})"
        return _infrastructure(reason or "Evicted", message, status.get("message"))
    return None


def _infrastructure(reason: str, message: str, detail: object) -> Outcome:
    said = f"{message}: {detail}" if detail else message
    return Outcome(reason, said, Fault.INFRASTRUCTURE)


def _of_source(pod: Object) -> Outcome | None:
    ended = (container_state(pod, SOURCE) or {}).get("terminated")
    if not ended or int(ended.get("exitCode", 0)) == 0:
        return None
    reported = _reported(ended.get("message"))
    tail = tail_of(ended.get("message"))
    said = reported.get("message") or (tail[-1] if tail else "no more is known")
    ours = reported.get("reason") == "TrackingUnavailable"
    return Outcome(
        "SourceFailed",
        f"The code could not be fetched: {said}",
        Fault.INFRASTRUCTURE if ours else Fault.USER,
        int(ended["exitCode"]),
        _time(ended, "startedAt"),
        _time(ended, "finishedAt"),
        () if reported else tail,
    )


def _reported(message: object) -> Mapping[str, Any]:
    try:
        reported = json.loads(str(message or ""))
    except ValueError:
        return {}
    return reported if isinstance(reported, dict) else {}


def _out_of_memory(pod: Object) -> str:
    limit = _limit(pod, "memory")
    if not limit:
        return "The node ran out of memory: set spec.resources.requests.memory to what it needs"
    return (
        f"The program used more memory than its limit of {limit}: raise"
        f" spec.resources.limits.memory, to {doubled(limit)} for example"
    )


def _is_likely_memory(pod: Object) -> bool:
    # The kernel kills one process; if that was a child of the program, only the code tells.
    return bool(_limit(pod, "memory")) and not pod["metadata"].get("deletionTimestamp")


def _limit(pod: Object, resource: str) -> str:
    for container in pod["spec"].get("containers") or ():
        if container["name"] == MAIN:
            limits = (container.get("resources") or {}).get("limits") or {}
            return str(limits.get(resource, ""))
    return ""


def _not_started(message: str) -> tuple[str, str, Fault]:
    # The runtime's message names the program at its end.
    detail = message.strip()[-_LINE_LIMIT:]
    for said, fix in _NOT_STARTED:
        if said.search(message):
            return "StartFailed", f"{fix}: {detail}", Fault.FINAL
    # Nothing about the program: a node under pressure fails so, and the next may not.
    return "PodLost", f"The node could not start the container: {detail}", Fault.INFRASTRUCTURE


def _exit_message(code: int, tail: Sequence[str]) -> str:
    why = f" ({_EXIT_CODES[code]})" if code in _EXIT_CODES else ""
    last = f"; its last line: {tail[-1]}" if tail else ""
    return f"The program exited with code {code}{why}{last}"


def tail_of(message: object) -> tuple[str, ...]:
    """Return the last lines of a termination message, at most 10, none blank."""
    lines = [line.rstrip()[:_LINE_LIMIT] for line in str(message or "").splitlines()]
    return tuple(line for line in lines if line.strip())[-TAIL_LINES:]
