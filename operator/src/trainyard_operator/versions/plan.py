"""ModelVersion: published once, under the digest of its files, by a Job with its own token.

    Pending ──source complete──▶ Publishing ──Job's result──▶ Ready
                                     └──refused, or failed too often──▶ Rejected

Ready and Rejected are final: a version's source never changes. A version that is being deleted
stays until its number stands in its Model's status.retired, so that no number is used twice.
It is its Model's by name, and has no owner: a backup brings a Model back with another UID, and
the garbage collector would delete what the old one owned. Its Model takes it along, in
models/plan.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.conditions import PublishedReason
from trainyard_api.contract import COMPONENT_PUBLISHING

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.conditions import Condition, find, is_true, merge, parse_time
from trainyard_operator.engine.errors import NotFound, Retry
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.engine.world import World
from trainyard_operator.finalizers.effects import Hold, ReleaseFinalizer
from trainyard_operator.names import MODELS, RUNS
from trainyard_operator.numbers import Retired, is_retired
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import lacking, version_token
from trainyard_operator.versions import attempts, lineage
from trainyard_operator.versions.attempts import Attempt
from trainyard_operator.versions.job import publishing_job, publishing_secret
from trainyard_operator.versions.published import choose_metrics, is_of_version, judge, read_result

PUBLISHED = "Published"
SERVABLE = "Servable"

# A run that goes on after it logged the model may log the metric that a gate reads.
_REFRESH = timedelta(seconds=30)
_REFRESH_FOR = timedelta(hours=1)
# After this a Job without a pod is worth a look at its Events.
_PODLESS = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a version depends on.

    Attributes:
        run: The Run that it comes from, if that is still there.
        summary: The MLflow run's metrics and names, when they are needed now.
        warnings: What the cluster says of a Job that has no pod yet, newest first.
    """

    model: Object | None = None
    run: Object | None = None
    jobs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


async def observe(resource: Object, world: World) -> Observed:
    """Look at the version's Model, Run, publishing Jobs and, once published, its metrics."""
    meta, source = resource["metadata"], resource["spec"]["source"]
    namespace = meta["namespace"]
    run = world.get(RUNS, namespace, source["run"]["name"]) if "run" in source else None
    jobs = tuple(world.list(JOBS, namespace, owner=meta["uid"]))
    labels = {names.MODEL_VERSION: meta["name"], names.COMPONENT: COMPONENT_PUBLISHING}
    pods = tuple(world.list(PODS, namespace, labels=labels)) if jobs else ()
    observed = Observed(
        model=world.get(MODELS, namespace, resource["spec"]["model"]),
        run=lineage.own_run(resource, run),
        jobs=jobs,
        pods=pods,
        warnings=await _warnings(jobs, pods, world),
    )
    run_id = _run_id(resource, observed)
    if not run_id or not _needs_summary(resource, observed, world.now()):
        return observed
    return replace(observed, summary=await _summary(resource, run_id, world))


async def _warnings(
    jobs: tuple[Object, ...], pods: tuple[Object, ...], world: World
) -> tuple[str, ...]:
    """Read why a Job gets no pod: a quota, a limit range, an admission policy."""
    made = {objects.controller_uid(pod) for pod in pods}
    for job in jobs:
        meta = job["metadata"]
        age = world.now() - parse_time(meta["creationTimestamp"])
        has_ended = (job.get("status") or {}).get("conditions")
        if meta["uid"] not in made and not has_ended and age > _PODLESS:
            return tuple(await world.warnings(Ref.of(job)))
    return ()


async def _summary(resource: Object, run_id: str, world: World) -> Mapping[str, Any]:
    try:
        return await world.tracking.summary(resource["metadata"]["namespace"], run_id)
    except NotFound:
        return {}
    except Retry:
        # A published version keeps the metrics it has; a new one waits for them.
        if is_true(resource.get("status") or {}, PUBLISHED):
            return {}
        raise


def _needs_summary(resource: Object, observed: Observed, now: datetime) -> bool:
    if is_true(resource.get("status") or {}, PUBLISHED):
        return observed.run is None and _is_young(resource, now)
    return any(_result(pod) for pod in observed.pods)


def _is_young(resource: Object, now: datetime) -> bool:
    return now - parse_time(resource["metadata"]["creationTimestamp"]) < _REFRESH_FOR


def _result(pod: Object) -> bool:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        terminated = (status.get("state") or {}).get("terminated")
        if terminated and terminated.get("exitCode") == 0:
            return True
    return False


def _run_id(resource: Object, observed: Observed) -> str:
    known = lineage.run_id(resource, observed.run)
    if known:
        return known
    seen = _attempts(resource, observed, now=_LONG_AGO)
    told = (a.results.get("fetch", {}).get("runID") for a in seen)
    return next((str(run_id) for run_id in told if run_id), "")


def _attempts(resource: Object, observed: Observed, *, now: datetime) -> tuple[Attempt, ...]:
    name = resource["metadata"]["name"]
    return attempts.read_attempts(name, observed.jobs, observed.pods, now=now)


_LONG_AGO = parse_time("1970-01-01T00:00:00+00:00")


def plan(resource: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide the version's next step."""
    status = dict(resource.get("status") or {})
    if "deletionTimestamp" in resource["metadata"]:
        return _retire(resource, observed, status)
    step = _step(resource, observed, status, now=now, settings=settings)
    return replace(step, effects=_hold(resource, observed.model))


def _step(
    resource: Object, observed: Observed, status: Object, *, now: datetime, settings: Settings
) -> Plan:
    if status.get("phase") == "Rejected" and not _is_tried_again(resource, status):
        return Plan(status=status)
    if is_true(status, PUBLISHED):
        return _published(resource, observed, status, now=now, settings=settings)
    return _publish(resource, observed, status, now=now, settings=settings)


def _is_tried_again(resource: Object, status: Object) -> bool:
    """Tell whether spec.retry changed since publishing failed; refusals are final."""
    reason = (find(status, PUBLISHED) or {}).get("reason")
    failed = reason == PublishedReason.PUBLISH_FAILED
    return failed and resource["spec"].get("retry") != status.get("retry")


def _retire(resource: Object, observed: Observed, status: Object) -> Plan:
    held = resource["metadata"].get("finalizers") or ()
    if names.RETIRE_FINALIZER not in held or not _may_go(resource, observed.model):
        return Plan(status=status)
    return Plan(
        status=status, effects=(ReleaseFinalizer(Ref.of(resource), names.RETIRE_FINALIZER),)
    )


def _may_go(resource: Object, model: Object | None) -> bool:
    if model is None or "deletionTimestamp" in model["metadata"]:
        return True
    return is_retired(_retired(model), int(resource["spec"]["version"]))


def _retired(model: Object) -> Retired:
    status = model.get("status") or {}
    return Retired(status.get("retired", 0), tuple(status.get("retiredVersions") or ()))


def _publish(
    resource: Object, observed: Observed, status: Object, *, now: datetime, settings: Settings
) -> Plan:
    model = observed.model
    if model is None:
        message = f"there is no Model {resource['spec']['model']}: create it"
        return _waits(resource, status, PublishedReason.MODEL_MISSING, message, now=now)
    number = int(resource["spec"]["version"])
    if is_retired(_retired(model), number):
        message = f"version {number} was deleted, and a number is never used again: take the next"
        return _rejected(resource, status, PublishedReason.NUMBER_USED, message, now=now)
    blocked = _source_problem(resource, observed)
    if blocked is not None:
        reason, message = blocked
        return _waits(resource, status, reason, message, now=now)
    status = {**status, **_lineage(resource, observed, {})}
    seen = _attempts(resource, observed, now=now)
    step = attempts.decide(seen, now=now, spent=status.get("spentAttempts", 0))
    if step.result is not None:
        return _take(resource, observed, status, step.result, now=now, settings=settings)
    if step.failed is not None:
        tried = {"spentAttempts": step.failed.number, "retry": resource["spec"].get("retry")}
        status = {**status, **{k: v for k, v in tried.items() if v is not None}}
        return _rejected(resource, status, step.failed.reason, step.failed.message, now=now)
    if observed.warnings and not step.start:
        step = replace(step, message=f"Waiting: {observed.warnings[0]}")
    return _go_on(resource, observed, model, status, step, now=now, settings=settings)


def _source_problem(resource: Object, observed: Observed) -> tuple[str, str] | None:
    source = resource["spec"]["source"]
    if "run" not in source:
        return None
    name = source["run"]["name"]
    if observed.run is None:
        if lineage.known_run_id(resource):
            return None
        return PublishedReason.SOURCE_MISSING, f"there is no Run {name} in this namespace"
    if not is_true(observed.run.get("status") or {}, "Finished"):
        return PublishedReason.SOURCE_INCOMPLETE, f"Run {name} has not finished yet"
    return None


def _go_on(
    resource: Object,
    observed: Observed,
    model: Object,
    status: Object,
    step: attempts.Step,
    *,
    now: datetime,
    settings: Settings,
) -> Plan:
    told = Condition(PUBLISHED, "False", PublishedReason.PUBLISHING, step.message)
    merged = merge(resource, {**status, "phase": "Publishing"}, told, now=now)
    token = version_token(resource, key=settings.signing_key)
    secret = publishing_secret(resource, token=token, settings=settings)
    if not step.start:
        return Plan(
            status=merged,
            # A pod that does not start may wait for a token that somebody deleted.
            create=tuple(lacking(secret, observed.pods, now=now).values()),
            delete=_remade(resource, observed, step.remake),
            recheck_after=step.recheck_after or _REFRESH,
        )
    allowed = (model.get("spec") or {}).get("allowedFormats") or ()
    job = publishing_job(
        resource,
        attempt=step.start,
        secret=secret["metadata"]["name"],
        allowed=allowed,
        settings=settings,
    )
    return Plan(
        status=merged,
        create=(secret, job),
        recheck_after=_REFRESH,
    )


def _remade(resource: Object, observed: Observed, attempt: int) -> tuple[Ref, ...]:
    name = names.publish_job(resource["metadata"]["name"], attempt) if attempt else ""
    return tuple(Ref.of(job) for job in observed.jobs if job["metadata"]["name"] == name)


def _hold(resource: Object, model: Object | None) -> tuple[Hold, ...]:
    """Make sure that the version stays until its number is retired, and has no Model as owner.

    Earlier operators made Models owners. A reference that holds is taken off once the Model
    cannot go without us, so that at no moment nobody would delete its versions.
    """
    meta = resource["metadata"]
    kept = None if model is None or _is_held(model) else model["metadata"]["uid"]
    owners = (o for o in meta.get("ownerReferences") or () if _is_model(o))
    disown = tuple(o["uid"] for o in owners if o["uid"] != kept)
    if names.RETIRE_FINALIZER in (meta.get("finalizers") or ()) and not disown:
        return ()
    return (Hold(Ref.of(resource), names.RETIRE_FINALIZER, disown),)


def _is_held(model: Object) -> bool:
    meta = model["metadata"]
    return names.VERSIONS_FINALIZER in (meta.get("finalizers") or ())


def _is_model(owner: Object) -> bool:
    return (owner["apiVersion"], owner["kind"]) == (objects.API_VERSION, "Model")


def _take(
    resource: Object,
    observed: Observed,
    status: Object,
    attempt: Attempt,
    *,
    now: datetime,
    settings: Settings,
) -> Plan:
    told, fetched = attempt.results["publish"], attempt.results.get("fetch", {})
    published = {
        **status,
        "phase": "Ready",
        **read_result(told),
        **_lineage(resource, observed, fetched),
    }
    number, model = resource["spec"]["version"], resource["spec"]["model"]
    event = Event("Normal", "Published", f"Version {number} of {model} is {told['digest']}")
    done = _published(resource, observed, published, now=now, settings=settings)
    return Plan(
        status=done.status,
        events=(event,),
        recheck_after=done.recheck_after,
    )


def _lineage(resource: Object, observed: Observed, fetched: Mapping[str, Any]) -> Object:
    source = resource["spec"]["source"]
    told = {
        "runID": _run_id(resource, observed),
        "run": source.get("run", {}).get("name"),
        "source": fetched.get("uri") or source.get("uri"),
        "experiment": observed.summary.get("experiment"),
    }
    return {name: str(value) for name, value in told.items() if value}


def _published(
    resource: Object, observed: Observed, status: Object, *, now: datetime, settings: Settings
) -> Plan:
    status = {**status, "phase": "Ready"}
    if observed.summary and is_of_version(observed.summary, resource):
        status["metrics"] = choose_metrics(observed.summary, model=observed.model)
    told = Condition(
        PUBLISHED, "True", PublishedReason.PUBLISHED, f"Published as {status['digest']}"
    )
    verdict = judge(status, runtimes=settings.runtimes)
    fitness = Condition(SERVABLE, verdict.status, verdict.reason, verdict.message)
    running = observed.summary.get("status") == "RUNNING"
    return Plan(
        status=merge(resource, status, told, fitness, now=now),
        recheck_after=_REFRESH if running and _is_young(resource, now) else None,
    )


def _waits(resource: Object, status: Object, reason: str, message: str, *, now: datetime) -> Plan:
    told = Condition(PUBLISHED, "False", reason, message)
    waiting = merge(resource, {**status, "phase": "Pending"}, told, now=now)
    return Plan(status=waiting, recheck_after=timedelta(minutes=1))


def _rejected(
    resource: Object, status: Object, reason: str, message: str, *, now: datetime
) -> Plan:
    told = Condition(PUBLISHED, "False", reason, message)
    rejected = merge(resource, {**status, "phase": "Rejected"}, told, now=now)
    return Plan(status=rejected, events=(Event("Warning", reason, message),))


def is_settled(status: Object) -> bool:
    """Tell whether the version is published, or never will be."""
    return is_true(status, PUBLISHED) or status.get("phase") == "Rejected"
