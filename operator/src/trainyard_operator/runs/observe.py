"""What the cluster holds for one Run: its Jobs, their pods, and what explains a wait.

Reads only, mostly from caches; every object is taken by UID, so that what a deleted Run of the
same name left behind is never seen as this one's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.world import World
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.liveness import has_stopped
from trainyard_operator.runs.waiting import waiting_of

EXPLAIN_AFTER = timedelta(seconds=5)
_JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass(frozen=True, slots=True)
class Observed:
    """What the cluster holds for one Run.

    Attributes:
        attempt: The current one, or the last one of a Run that has finished.
        jobs: All Jobs of this Run.
        live: Those of them that still have, or could still make, a pod that is not at its end. A
            Job whose pods are at their end is left to its controller, which may be far behind.
        lingering: Pods of earlier attempts that still run.
        warnings: Messages of Warning Events, of the pod that waits, or of the Job if it has none;
            only read once it waits for longer than a moment.
        nodes: Only read when the pod cannot be scheduled.
    """

    attempt: Attempt = field(default_factory=Attempt)
    jobs: tuple[Object, ...] = ()
    live: tuple[Object, ...] = ()
    lingering: tuple[Object, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: tuple[Object, ...] = ()


async def observe(run: Object, world: World) -> Observed:
    """Read the children of *run*, and what explains a wait."""
    status = run.get("status") or {}
    meta = run["metadata"]
    jobs = tuple(world.list(JOBS, meta["namespace"], owner=meta["uid"]))
    number, entry = run_status.current_attempt(status)
    if run_status.is_finished(status):
        number, entry = run_status.last_attempt(status)
    elif not status.get("attempts"):
        # Somebody may have wiped the status: of an attempt that is there none before it is made.
        made = (names.attempt_of(meta["name"], job["metadata"]["name"]) for job in jobs)
        number = max(made, default=0) or 1
    seen = {job["metadata"]["name"]: _seen(run, number, job, world) for job in jobs}
    live = tuple(job for job in jobs if not seen[job["metadata"]["name"]].is_at_its_end)
    if run_status.is_recorded(status):
        return Observed(jobs=jobs, live=live)
    attempt = seen.get(_job_name(run, number))
    if run_status.is_finished(status):
        attempt = attempt or _without_job(run, number, entry, world)
        return Observed(attempt, jobs=jobs, live=live)
    stopping = run["spec"].get("cancel") or run["spec"].get("suspend")
    is_decided = not stopping or status.get("phase") == "Suspended"
    if attempt is None and (entry is not None or not is_decided):
        # Before calling a pod lost, or a Run that never started cancelled: a cache may be behind.
        attempt = await _asked(run, number, world)
    attempt = attempt or _without_job(run, number, entry, world)
    attempt = await _unseen(run, attempt, entry, world)
    # What stops needs no explanation: no list that fails may hold up a cancel.
    warnings, nodes = ((), ()) if stopping else await _explanations(attempt, world)
    return Observed(
        attempt,
        jobs=jobs,
        live=live,
        lingering=tuple(_lingering(run, number, world)),
        warnings=tuple(warnings),
        nodes=tuple(nodes),
    )


def _job_name(run: Object, number: int) -> str:
    return names.run_job(run["metadata"]["name"], number)


async def _asked(run: Object, number: int, world: World) -> Attempt | None:
    name, namespace = _job_name(run, number), run["metadata"]["namespace"]
    found = await world.read(Ref("batch/v1", "Job", namespace, name))
    ours = found is not None and objects.is_ours(found, run)
    return _seen(run, number, found, world) if found and ours else None


def _without_job(run: Object, number: int, entry: Any, world: World) -> Attempt:
    pods = _labelled(run, world) if entry is not None else ()
    return Attempt.of(number, None, (pod for pod in pods if _number_of(pod) == number))


async def _unseen(run: Object, attempt: Attempt, entry: Any, world: World) -> Attempt:
    """Return the attempt with pods that no watch has shown, before one is called lost.

    Jobs and pods are watched apart, so one may be behind; and a pod that lost its label
    `managed-by` to somebody else's policy is never shown.
    """
    job, namespace = attempt.job, run["metadata"]["namespace"]
    if not attempt.is_missing or not (job or entry) or not attempt.may_have_more(now=world.now()):
        return attempt
    name = _job_name(run, attempt.number)
    found = await world.read_all("v1", "Pod", namespace, labelSelector=f"{_JOB_NAME}={name}")
    if job is not None:
        ours = [pod for pod in found if objects.is_ours(pod, job)]
    else:
        ours = [pod for pod in found if _is_of(run, pod)]
    return Attempt.of(attempt.number, job, ours)


def _is_of(run: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(names.RUN_UID) == run["metadata"]["uid"])


def _seen(run: Object, number: int, job: Object, world: World) -> Attempt:
    namespace, uid = run["metadata"]["namespace"], job["metadata"]["uid"]
    return Attempt.of(number, job, world.list(PODS, namespace, owner=uid))


def _labelled(run: Object, world: World) -> Sequence[Object]:
    """Return the pods of all attempts, also of those whose Job is gone."""
    meta = run["metadata"]
    return world.list(PODS, meta["namespace"], labels={names.RUN_UID: meta["uid"]})


def _number_of(pod: Object) -> int:
    text = str((pod["metadata"].get("labels") or {}).get(names.ATTEMPT))
    return int(text) if text.isdecimal() else 0


def _lingering(run: Object, number: int, world: World) -> Iterator[Object]:
    if number > 1:
        for pod in _labelled(run, world):
            if _number_of(pod) < number and not has_stopped(pod):
                yield pod


async def _explanations(attempt: Attempt, world: World) -> tuple[Sequence[str], Sequence[Object]]:
    """Read what explains a wait, if it is long: listing Events costs the API server a lot."""
    job, now = attempt.job, world.now()
    if job is None or attempt.is_running or attempt.outcome(now=now):
        return (), ()
    if attempt.waiting is None:
        slow = _is_older(job, EXPLAIN_AFTER, now=now)
        return (await world.warnings(Ref.of(job)) if slow else ()), ()
    _, pod = attempt.waiting
    waits = waiting_of(pod, ())
    if waits.reason == "Unschedulable":
        return (), await world.nodes()
    if waits.reason == "Starting" and _is_older(pod, EXPLAIN_AFTER, now=now):
        return await world.warnings(Ref.of(pod)), ()
    return (), ()


def _is_older(waiting: Object, age: timedelta, *, now: datetime) -> bool:
    # Not startTime, which for a pod is by its node's clock.
    return now - parse_time(waiting["metadata"]["creationTimestamp"]) >= age
