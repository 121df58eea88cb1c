"""How an attempt ended, from what its pod shows. Pure, table-driven.

What ended the pod from outside (disruption.py) decides before any exit code. Then only the
container `main` counts: a sidecar that never exits, or exits badly, changes nothing. An init
container that somebody's policy added can keep `main` from starting: it is named.
Whose fault an end is decides whether it is tried again (retry.py). Why a pod does not start
is waiting.py's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.disruption import disruption_of
from trainyard_operator.runs.scheduling import doubled
from trainyard_operator.termination import reported

MAIN = "main"
SOURCE = "source"
TAIL_LINES = 10
_LINE_LIMIT = 400


class Fault(Enum):
    """Whose fault an end is."""

    NOBODY = auto()
    USER = auto()
    INFRASTRUCTURE = auto()
    QUEUE = auto()
    """Nobody's: a queue took the place back, and gives it again. Tried again however often."""
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
DONE = Outcome(COMPLETED, "The program exited with code 0", Fault.NOBODY)
LOST = Outcome(
    "PodLost",
    "The pod is gone, and nothing tells how it ended: its node was lost, or somebody deleted"
    " the pod or its Job",
    Fault.INFRASTRUCTURE,
)

SILENT = Outcome(
    "PodLost",
    "The pod was deleted, and its node says nothing of it any more: the node is down, or cut off",
    Fault.INFRASTRUCTURE,
)

MOVED = "TrackingMoved"
QUEUED = Outcome(
    "Preempted",
    "The Job was suspended by another controller (a queue?) while the program ran: the next attempt"
    " queues again, and this one counts against nobody",
    Fault.QUEUE,
)

TOO_LONG = Outcome(
    "TimedOut",
    "The Job reached its activeDeadlineSeconds ({seconds}), which is not the Run's spec.timeout but"
    " was set by a policy or webhook of the cluster: ask who runs it for more time",
    Fault.FINAL,
)

# Reasons of the agent (trainyard_agent/{errors,git_words,__main__}.py) that say nothing of code.
_NOT_THE_USERS = frozenset({"TrackingUnavailable", "SourceUnavailable", "VolumeFailed", "Stopped"})
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
_EXIT_CODES = {
    126: "the program is not executable",
    127: "a program was not found",
    137: (
        "it was killed (SIGKILL): by itself or another process, or a process of its own was for"
        " memory; its limit: {limit}"
    ),
    139: "it crashed (SIGSEGV)",
    143: "it was told to stop (SIGTERM)",
}


def outcome_of(pod: Object) -> Outcome | None:
    """Return how the attempt ended, None while it has not."""
    main = container_state(pod, MAIN)
    ended = (main or {}).get("terminated")
    if ended:
        return _of_main(pod, ended)
    source = (container_state(pod, SOURCE) or {}).get("terminated") or {}
    if int(source.get("exitCode", 0)) != 0:
        return _of_source(pod, source)
    if (pod.get("status") or {}).get("phase") != "Failed":
        return None
    return told_to_leave(pod) or _of_foreign(pod) or LOST


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
    return str(reported(ended).get("commit", ""))


def _of_main(pod: Object, ended: Mapping[str, Any]) -> Outcome:
    code = int(ended.get("exitCode", 0))
    judged = told_to_leave(pod, ended) or (_failure(pod, ended, code) if code else DONE)
    return replace(
        judged,
        exit_code=code,
        started=_time(ended, "startedAt"),
        finished=_time(ended, "finishedAt"),
        log_tail=() if judged is DONE else tail_of(ended.get("message")),
    )


def told_to_leave(pod: Object, ended: Mapping[str, Any] | None = None) -> Outcome | None:
    """Return the end of a pod that something outside of it ends, None if nothing does."""
    told = disruption_of(pod, ended)
    if told is None:
        return None
    return Outcome(*told, Fault.FINAL if told[0] == "TimedOut" else Fault.INFRASTRUCTURE)


def _time(ended: Mapping[str, Any], field: str) -> str:
    found = str(ended.get(field) or "")
    # A container that never started "started" in 1970.
    return "" if found.startswith("1970-") else found


def _failure(pod: Object, ended: Mapping[str, Any], code: int) -> Outcome:
    why = ended.get("reason")
    if why == "OOMKilled":
        return Outcome("OutOfMemory", _out_of_memory(pod), Fault.USER)
    if why in _START_FAILURES:
        return _not_started(str(ended.get("message", "")))
    if why == "ContainerStatusUnknown":
        return LOST
    tail = tail_of(ended.get("message"))
    return Outcome("ExitCode", _exit_message(pod, code, tail), Fault.USER)


def _of_source(pod: Object, ended: Mapping[str, Any]) -> Outcome:
    told, tail = reported(ended), tail_of(ended.get("message"))
    return replace(
        told_to_leave(pod, ended) or _source_failure(pod, ended, told, tail),
        exit_code=int(ended["exitCode"]),
        started=_time(ended, "startedAt"),
        finished=_time(ended, "finishedAt"),
        log_tail=() if told else tail,
    )


def _source_failure(
    pod: Object, ended: Mapping[str, Any], told: Mapping[str, Any], tail: Sequence[str]
) -> Outcome:
    why = ended.get("reason")
    if why == "OOMKilled":
        return Outcome("OutOfMemory", _out_of_memory(pod, "Fetching the code"), Fault.USER)
    if why in _START_FAILURES:
        detail = str(ended.get("message", "")).strip()[-_LINE_LIMIT:]
        said = f"The node could not start the container that fetches the code: {detail}"
        return Outcome("PodLost", said, Fault.INFRASTRUCTURE)
    if why == "ContainerStatusUnknown":
        return LOST
    said = told.get("message") or (tail[-1] if tail else "no more is known")
    # Of a SIGTERM before the agent listened it tells nothing; no code of the user's sends one here.
    is_told_to_stop = not told and int(ended["exitCode"]) == 143
    ours = told.get("reason") in _NOT_THE_USERS or is_told_to_stop
    fault = Fault.INFRASTRUCTURE if ours else Fault.USER
    return Outcome("SourceFailed", f"The code could not be fetched: {said}", fault)


def _of_foreign(pod: Object) -> Outcome | None:
    """Return the end that an init container brought which is not ours: a policy added it."""
    sidecars = {
        each["name"]
        for each in pod["spec"].get("initContainers") or ()
        if each.get("restartPolicy") == "Always"
    }
    for each in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated")
        if ended and int(ended.get("exitCode", 0)) != 0 and each["name"] not in sidecars:
            return _foreign_failure(each["name"], ended)
    return None


def _foreign_failure(name: str, ended: Mapping[str, Any]) -> Outcome:
    tail = tail_of(ended.get("message"))
    said = tail[-1] if tail else str(ended.get("reason") or "no more is known")
    return Outcome(
        "InitFailed",
        f"The init container {name}, which is not Trainyard's but added by a policy or webhook of"
        f" the cluster, failed with code {int(ended['exitCode'])}: {said}; ask who runs it",
        Fault.INFRASTRUCTURE,
        int(ended["exitCode"]),
        _time(ended, "startedAt"),
        _time(ended, "finishedAt"),
        tail,
    )


def _out_of_memory(pod: Object, what: str = "The program") -> str:
    limit = _limit(pod, "memory")
    if not limit:
        return "The node ran out of memory: set spec.resources.requests.memory to what it needs"
    return (
        f"{what} used more memory than its limit of {limit}: raise"
        f" spec.resources.limits.memory, to {doubled(limit)} for example"
    )


def _limit(pod: Object, resource: str) -> str:
    for container in pod["spec"].get("containers") or ():
        if container["name"] == MAIN:
            limits = (container.get("resources") or {}).get("limits") or {}
            return str(limits.get(resource, ""))
    return ""


def _not_started(message: str) -> Outcome:
    # The runtime's message names the program at its end.
    detail = message.strip()[-_LINE_LIMIT:]
    for said, fix in _NOT_STARTED:
        if said.search(message):
            return Outcome("StartFailed", f"{fix}: {detail}", Fault.FINAL)
    # Nothing about the program: a node under pressure fails so, and the next may not.
    lost = f"The node could not start the container: {detail}"
    return Outcome("PodLost", lost, Fault.INFRASTRUCTURE)


def _exit_message(pod: Object, code: int, tail: Sequence[str]) -> str:
    limit = _limit(pod, "memory") or "none"
    why = f" ({_EXIT_CODES[code].format(limit=limit)})" if code in _EXIT_CODES else ""
    last = f"; its last line: {tail[-1]}" if tail else ""
    return f"The program exited with code {code}{why}{last}"


def tail_of(message: object) -> tuple[str, ...]:
    """Return the last lines of a termination message, at most 10, none blank."""
    lines = [line.rstrip()[:_LINE_LIMIT] for line in str(message or "").splitlines()]
    return tuple(line for line in lines if line.strip())[-TAIL_LINES:]
