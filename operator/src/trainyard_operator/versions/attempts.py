"""Whether to publish a version now, again, or never. Pure.

A refusal is final, because the files do not change. What the cluster or the network did is
tried again a few times, each time with a Job of its own name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from trainyard_operator import names
from trainyard_operator.engine import conditions, objects
from trainyard_operator.engine.plan import Object
from trainyard_operator.termination import reported
from trainyard_operator.versions.job import CONVERT, FETCH, PUBLISH

ATTEMPTS = 5
# Each change of spec.retry allows five more.
_MOST = 1000
_OURS = frozenset({FETCH, CONVERT, PUBLISH})
# A pod that nothing of started by then is made anew: with what the installation says by now.
_STALE = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=10)
# The Job's end can be seen before its pod's.
_POD_GRACE = timedelta(seconds=30)

FORMAT_NOT_ALLOWED = "FormatNotAllowed"
SOURCE_MISSING = "SourceMissing"
SOURCE_INCOMPLETE = "SourceIncomplete"
PUBLISH_FAILED = "PublishFailed"

# Reasons of the agent (trainyard_agent/errors.py) → reasons of the Published condition.
_REASONS = {
    FORMAT_NOT_ALLOWED: FORMAT_NOT_ALLOWED,
    SOURCE_MISSING: SOURCE_MISSING,
    SOURCE_INCOMPLETE: SOURCE_INCOMPLETE,
    "SourceFailed": SOURCE_MISSING,
    "UnsafePath": SOURCE_MISSING,
}
_OUT_OF_MEMORY = "it was killed for memory: raise agent.resources in the chart's values"
# What the tracking service says of the files themselves (trainyard_agent/transport.py).
_REFUSALS = frozenset({"TooLarge", "ContentRefused"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One publishing Job.

    Attributes:
        ended: When it ended; None while it runs.
        results: Termination messages by container, as far as they were JSON objects.
        reason: Why it failed; empty if it did not.
        waiting: Why its pod has not started, if it says.
        is_final: Whether another attempt would end the same.
        is_stale: Whether it found no room for so long that its Job is better made anew.
    """

    number: int
    ended: datetime | None = None
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    waiting: str = ""
    is_final: bool = False
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: start an attempt, make one anew, wait, take the result, or give up.

    Exactly one of `start`, `remake`, `result` and `failed` is set, or none to wait. The attempt
    to `remake` never ran: once its Job is deleted, its number is started again, or the first one
    if the Jobs before it are gone as well.
    """

    start: int = 0
    remake: int = 0
    result: Attempt | None = None
    failed: Attempt | None = None
    message: str = ""
    recheck_after: timedelta | None = None


def decide(attempts: Sequence[Attempt], *, now: datetime, spent: int = 0) -> Step:
    """Decide the next step from all attempts that are still to be seen.

    Args:
        spent: The last attempt that counts no more, because the user wants another try.
    """
    counted = [a for a in attempts if a.number > spent]
    if not counted:
        return Step(start=spent + 1, message="Publishing starts")
    last = max(counted, key=lambda a: a.number)
    # Not by how many are seen: those that ended an hour ago are gone.
    tries = last.number - spent
    if last.ended is None:
        told = last.waiting or f"Publishing, attempt {last.number}"
        return Step(remake=last.number if last.is_stale else 0, message=told)
    if not last.reason:
        return Step(result=last)
    if last.is_final or tries >= ATTEMPTS:
        return Step(failed=last)
    pause = _FIRST_PAUSE * 2 ** (tries - 1)
    left = last.ended + pause - now
    told = f"Attempt {tries} of {ATTEMPTS} failed ({last.message}); trying again"
    if left > timedelta(0):
        return Step(message=told, recheck_after=min(left, pause))
    return Step(start=last.number + 1, message=told)


def read_attempts(
    version: str, jobs: Iterable[Object], pods: Iterable[Object], *, now: datetime
) -> tuple[Attempt, ...]:
    """Return the attempts to publish a version that Jobs and their pods tell of."""
    by_job = {objects.controller_uid(pod): pod for pod in pods}
    numbered = ((_number(version, job), job) for job in jobs)
    return tuple(
        _read(number, job, by_job.get(job["metadata"]["uid"]), now=now)
        for number, job in numbered
        if number
    )


def _number(version: str, job: Object) -> int:
    """Return which attempt a Job is by its name, which nobody can change; 0 if it is none."""
    name = job["metadata"]["name"]
    return next((n for n in range(1, _MOST) if names.publish_job(version, n) == name), 0)


def _read(number: int, job: Object, pod: Object | None, *, now: datetime) -> Attempt:
    ended = [s for s in _statuses(pod) if (s.get("state") or {}).get("terminated")]
    results = {s["name"]: reported(s["state"]["terminated"]) for s in ended}
    failed = [s for s in ended if s["state"]["terminated"].get("exitCode")]
    if (results.get(PUBLISH) or {}).get("digest") and PUBLISH not in {s["name"] for s in failed}:
        return Attempt(number, _ended(job) or now, results)
    first = _first_of(failed, pod)
    if first is not None:
        terminated = first["state"]["terminated"]
        return _failed(number, first["name"], terminated, results, ended=_ended(job) or now)
    return _from_job(number, job, pod, now=now)


def _first_of(failed: Sequence[Mapping[str, Any]], pod: Object | None) -> Mapping[str, Any] | None:
    """Return which container failed the attempt: one of ours, or another's once the pod is over.

    What a policy adds may be started again, or end by a signal once our work is done.
    """
    ours = (each for each in failed if each["name"] in _OURS)
    is_over = ((pod or {}).get("status") or {}).get("phase") == "Failed"
    return next(ours, failed[0] if failed and is_over else None)


def _failed(
    number: int,
    container: str,
    terminated: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    *,
    ended: datetime,
) -> Attempt:
    told = results.get(container) or {}
    killed = _OUT_OF_MEMORY if terminated.get("reason") == "OOMKilled" else ""
    text = str(told.get("message") or killed or terminated.get("message") or "").strip()
    reason = _REASONS.get(str(told.get("reason", "")), PUBLISH_FAILED)
    why = text.splitlines()[-1] if text else f"exit code {terminated.get('exitCode')}"
    is_refused = told.get("reason") in _REFUSALS
    if is_refused:
        # What fetch is refused is the source, which never changes.
        fix = "make another version" if container == FETCH else "change spec.retry"
        why = f"{why}; once that is mended, {fix}"
    # What fetch does not find may only be late; what convert says of the files stays true.
    is_final = (
        is_refused
        or reason == FORMAT_NOT_ALLOWED
        or (container != FETCH and reason in {SOURCE_MISSING, SOURCE_INCOMPLETE})
    )
    return Attempt(number, ended, results, reason, f"{container}: {why}", is_final=is_final)


def _from_job(number: int, job: Object, pod: Object | None, *, now: datetime) -> Attempt:
    ended, done = _ended(job), _end(job)
    if ended is None:
        waiting = _waiting(pod) or _suspended(job)
        return Attempt(number, waiting=waiting, is_stale=_is_stale(job, pod, now=now))
    if now < ended + _POD_GRACE:
        return Attempt(number, waiting="The publishing Job ended, its result is being read")
    message = done.get("message") or "its pod is gone, and with it the result"
    return Attempt(number, ended, reason=PUBLISH_FAILED, message=message)


def _is_stale(job: Object, pod: Object | None, *, now: datetime) -> bool:
    """Tell whether a pod that may start has not started with our work for too long.

    A Job that is suspended keeps its place in somebody's queue, and its time begins after that.
    """
    meta, status = job["metadata"], job.get("status") or {}
    if "deletionTimestamp" in meta or (job.get("spec") or {}).get("suspend"):
        return False
    if pod is None and status.get("active"):
        # It may be at work: it lost its label, or is just gone.
        return False
    fetch: Mapping[str, Any] = next((s for s in _statuses(pod) if s["name"] == FETCH), {})
    if "waiting" not in (fetch.get("state") or {"waiting": {}}):
        return False
    made = status.get("startTime") or meta["creationTimestamp"]
    since = pod["metadata"]["creationTimestamp"] if pod else made
    return now - conditions.parse_time(since) >= _STALE


def _suspended(job: Object) -> str:
    spec = job.get("spec") or {}
    if not spec.get("suspend"):
        return ""
    by = spec.get("suspendedBy") or "a queue?"
    return f"The Job is suspended by another controller ({by}): it starts once that one lets it"


def _ended(job: Object) -> datetime | None:
    """Return when a Job ended: by the control plane's clock, since a node's may be wrong."""
    end = _end(job)
    return conditions.parse_time(end["lastTransitionTime"]) if end else None


def _end(job: Object) -> Object:
    status = job.get("status") or {}
    told = (conditions.find(status, kind) or {} for kind in ("Complete", "Failed"))
    return next((end for end in told if end.get("status") == "True"), {})


def _statuses(pod: Object | None) -> list[Mapping[str, Any]]:
    status = (pod or {}).get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _waiting(pod: Object | None) -> str:
    for status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in {None, "PodInitializing", "ContainerCreating"}:
            return f"{status['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    placed = conditions.find((pod or {}).get("status") or {}, "PodScheduled") or {}
    if placed.get("status") == "False":
        return str(placed.get("message") or "the pod waits for a node")
    return ""
