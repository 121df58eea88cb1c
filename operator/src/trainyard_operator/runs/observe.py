"""What the cluster holds for one Run: its Jobs, its pod, and what explains a wait.

Reads only, mostly from caches; every object is taken by UID, so that what a deleted Run of the
same name left behind is never seen as this one's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.world import World
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.liveness import has_stopped, is_at_its_end, is_running
from trainyard_operator.runs.outcome import outcome_of
from trainyard_operator.runs.waiting import waiting_of

EXPLAIN_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the cluster holds for one Run.

    Attributes:
        job: The Job of the current attempt, None if there is none of ours.
        pod: The pod of the current attempt, also when its Job is gone.
        jobs: All Jobs of this Run.
        live: Those of them that still have, or could still make, a pod that is not at its end. A
            Job whose pod is at its end is left to its controller, which may be far behind.
        lingering: A pod of an earlier attempt that still runs.
        warnings: Messages of Warning Events, of the pod, or of the Job if it has no pod; only
            read once it waits for longer than a moment.
        nodes: Only read when the pod cannot be scheduled.
    """

    job: Object | None = None
    pod: Object | None = None
    jobs: tuple[Object, ...] = ()
    live: tuple[Object, ...] = ()
    lingering: Object | None = None
    warnings: tuple[str, ...] = ()
    nodes: tuple[Object, ...] = ()


async def observe(run: Object, world: World) -> Observed:
    """Read the children of *run*, and what explains a wait."""
    status = run.get("status") or {}
    meta = run["metadata"]
    jobs = tuple(world.list(JOBS, meta["namespace"], owner=meta["uid"]))
    if run_status.is_finished(status):
        return Observed(jobs=jobs, live=_live(jobs, world), pod=_last_pod(run, world))
    number, entry = run_status.current_attempt(status)
    name = names.run_job(meta["name"], number)
    job = next((each for each in jobs if each["metadata"]["name"] == name), None)
    if job is None and entry is not None:
        # Before calling a pod lost, ask: a cache may be behind.
        found = await world.read(Ref("batch/v1", "Job", meta["namespace"], name))
        job = found if found and objects.is_ours(found, run) else None
    pod = _pod_of(job, world) if job else _pod_named(run, entry, world)
    warnings, nodes = await _explanations(job, pod, world)
    return Observed(
        job=job,
        pod=pod,
        jobs=jobs,
        live=_live(jobs, world),
        lingering=_lingering(run, number, world),
        warnings=tuple(warnings),
        nodes=tuple(nodes),
    )


def _live(jobs: Sequence[Object], world: World) -> tuple[Object, ...]:
    pods = ((job, _pod_of(job, world)) for job in jobs)
    return tuple(job for job, pod in pods if pod is None or not is_at_its_end(pod))


def _pod_of(job: Object, world: World) -> Object | None:
    meta = job["metadata"]
    pods = world.list(PODS, meta["namespace"], owner=meta["uid"])
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _pod_named(run: Object, entry: Any, world: World) -> Object | None:
    if not entry or not entry.get("pod"):
        return None
    pod = world.get(PODS, run["metadata"]["namespace"], entry["pod"])
    return pod if pod and _is_pod_of(run, pod) else None


def _is_pod_of(run: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(names.RUN_UID) == run["metadata"]["uid"])


def _last_pod(run: Object, world: World) -> Object | None:
    attempts = (run.get("status") or {}).get("attempts") or ()
    return _pod_named(run, attempts[-1] if attempts else None, world)


def _lingering(run: Object, number: int, world: World) -> Object | None:
    attempts = (run.get("status") or {}).get("attempts") or ()
    for entry in attempts:
        pod = _pod_named(run, entry, world) if entry["number"] < number else None
        if pod and not has_stopped(pod):
            return pod
    return None


async def _explanations(
    job: Object | None, pod: Object | None, world: World
) -> tuple[Sequence[str], Sequence[Object]]:
    """Read what explains a wait, if it is long: listing Events costs the API server a lot."""
    if job is None or (pod and (is_running(pod) or outcome_of(pod))):
        return (), ()
    if pod is None:
        slow = _is_older(job, EXPLAIN_AFTER, now=world.now())
        return (await world.warnings(Ref.of(job)) if slow else ()), ()
    waits = waiting_of(pod, ())
    if waits.reason == "Unschedulable":
        return (), await world.nodes()
    if waits.reason == "Starting" and _is_older(pod, EXPLAIN_AFTER, now=world.now()):
        return await world.warnings(Ref.of(pod)), ()
    return (), ()


def _is_older(waiting: Object, age: timedelta, *, now: datetime) -> bool:
    # startTime is when its controller, or its kubelet, first took it up.
    since = (waiting.get("status") or {}).get("startTime")
    return since is not None and now - parse_time(since) >= age
