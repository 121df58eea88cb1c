"""Deployment: the version it follows, served by a child per digest behind one Service.

Which version, may it run here, which children exist: each is a pure decision (policies/), and
this module joins them and tells the outcome.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainyard_api.conditions import ServingReason

from trainyard_operator import names
from trainyard_operator.conditions import Condition, find, merge, parse_time
from trainyard_operator.errors import NameTaken
from trainyard_operator.kinds import Kind, labelled, owner_of
from trainyard_operator.objects import serving, token
from trainyard_operator.plan import Event, Object, Plan, Ref
from trainyard_operator.policies import rollout, servable
from trainyard_operator.policies.rollout import Child, Failure, Rejected, Rollout, Target, Wish
from trainyard_operator.policies.serving_pods import failure_of, placed_at
from trainyard_operator.settings import Runtime, Settings
from trainyard_operator.world import (
    DEPLOYMENTS,
    MODEL_DEPLOYMENTS,
    MODEL_VERSIONS,
    MODELS,
    PODS,
    SERVICES,
    World,
)

AVAILABLE = "Available"
PROGRESSING = "Progressing"
SERVABLE = "Servable"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a Deployment follows and what serves it.

    Attributes:
        number: The version that it should serve, None while its alias holds none.
        taken: Kind of a foreign object that has the name of a child, empty if none has.
    """

    model: Object | None = None
    number: int | None = None
    version: Object | None = None
    children: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    taken: str = ""


async def observe(resource: Object, world: World) -> Observed:
    """Look at the Model, the version and the children."""
    meta, wanted = resource["metadata"], resource["spec"]["model"]
    namespace = meta["namespace"]
    model = world.get(MODELS, namespace, wanted["name"])
    number = wanted.get("version")
    if number is None and model is not None:
        number = ((model.get("status") or {}).get("aliases") or {}).get(wanted["alias"])
    version = None
    if number is not None:
        name = names.model_version(wanted["name"], number)
        version = world.get(MODEL_VERSIONS, namespace, name)
    service = world.get(SERVICES, namespace, meta["name"])
    foreign = service is not None and not names.is_ours(service, resource)
    return Observed(
        model=model,
        number=number,
        version=version,
        children=tuple(world.list(DEPLOYMENTS, namespace, owner=meta["uid"])),
        pods=tuple(world.list(PODS, namespace, labels={names.DEPLOYMENT: meta["name"]})),
        taken="Service" if foreign else "",
    )


def plan(resource: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide which children exist, and tell how far it is.

    Raises:
        NameTaken: A Service of that name is somebody else's.
    """
    status = dict(resource.get("status") or {})
    if "deletionTimestamp" in resource["metadata"]:
        return Plan(status=status)
    if observed.taken:
        name = resource["metadata"]["name"]
        raise NameTaken(
            ServingReason.NAME_TAKEN,
            f"another {observed.taken} is named {name}: delete it, or use another name",
        )
    runtime = settings.runtimes.get(resource["spec"].get("runtime", "sklearn"))
    usable = runtime if runtime is not None and runtime.serving_image else None
    missing = _missing(resource, observed)
    verdict = _verdict(observed, usable) if missing is None else None
    wish = _wish(resource, observed, verdict, missing)
    decided = rollout.decide(
        wish,
        children=_children(observed),
        stable=_target(status.get("stable")),
        rejected=_rejected(status.get("rejected")),
        now=now,
    )
    problem = missing or _no_runtime(resource, usable, settings) or decided.progressing
    return _carry_out(
        resource,
        observed,
        decided,
        _Told(wish, problem, verdict, usable),
        now=now,
        settings=settings,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    wish: Wish
    problem: Failure | None
    verdict: servable.Verdict | None
    runtime: Runtime | None


def _missing(resource: Object, observed: Observed) -> Failure | None:
    """Return why there is no published version to serve."""
    wanted = resource["spec"]["model"]
    if observed.model is None:
        told = f"there is no Model {wanted['name']} in this namespace"
        return Failure(ServingReason.MODEL_MISSING, told)
    if observed.number is None:
        return Failure(ServingReason.ALIAS_EMPTY, _empty_alias(observed.model, wanted))
    if observed.version is None:
        told = f"Model {wanted['name']} has no version {observed.number}"
        return Failure(ServingReason.VERSION_MISSING, told)
    status = observed.version.get("status") or {}
    if status.get("digest"):
        return None
    published = find(status, "Published") or {}
    told = f"version {observed.number} is not published: {published.get('message', 'not yet')}"
    return Failure(ServingReason.VERSION_NOT_PUBLISHED, told)


def _empty_alias(model: Object, wanted: Object) -> str:
    alias = wanted["alias"]
    stages = (model.get("status") or {}).get("stages") or ()
    refusal = next((s.get("refusal") for s in stages if s["name"] == alias), None)
    if refusal:
        return f"alias {alias} holds no version: {refusal['message']}"
    return (
        f"alias {alias} of Model {wanted['name']} holds no version: promote one, or name"
        " spec.model.version"
    )


def _verdict(observed: Observed, runtime: Runtime | None) -> servable.Verdict | None:
    if runtime is None or observed.version is None:
        return None
    status = observed.version.get("status") or {}
    return servable.judge(
        status.get("flavors") or {},
        status.get("requirements") or (),
        runtime=runtime.name,
        packages=runtime.packages,
    )


def _no_runtime(resource: Object, runtime: Runtime | None, settings: Settings) -> Failure | None:
    if runtime is not None:
        return None
    usable = sorted(n for n, r in settings.runtimes.items() if r.serving_image)
    return Failure(
        ServingReason.RUNTIME_MISSING,
        f"spec.runtime: {resource['spec'].get('runtime', 'sklearn')} is no runtime that can serve;"
        f" this installation has: {', '.join(usable) or 'none'}",
    )


def _wish(
    resource: Object,
    observed: Observed,
    verdict: servable.Verdict | None,
    missing: Failure | None,
) -> Wish:
    spec = resource["spec"]
    target = None
    if missing is None and observed.version is not None and observed.number is not None:
        target = Target(observed.number, observed.version["status"]["digest"])
    barred = verdict is not None and verdict.status == "False"
    return Wish(
        target=target,
        replicas=spec.get("replicas", 1),
        retry=spec.get("retry"),
        blocked=Failure(ServingReason.NOT_SERVABLE, verdict.message)
        if barred and verdict
        else None,
    )


def _children(observed: Observed) -> list[Child]:
    return [child for child in (_child(c, observed) for c in observed.children) if child]


def _child(child: Object, observed: Observed) -> Child | None:
    target = serving.served(child)
    if target is None:
        return None
    digest = child["metadata"].get("labels", {}).get(names.DIGEST)
    pods = [p for p in observed.pods if p["metadata"].get("labels", {}).get(names.DIGEST) == digest]
    status, meta = child.get("status") or {}, child["metadata"]
    times = [meta["creationTimestamp"], *filter(None, map(placed_at, pods))]
    replicas = child["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    return Child(
        target=target,
        since=max(map(parse_time, times)),
        ready=status.get("readyReplicas", 0),
        is_current=seen and status.get("updatedReplicas", 0) >= replicas,
        deleting="deletionTimestamp" in meta,
        failure=failure_of(pods, child),
    )


def _carry_out(
    resource: Object,
    observed: Observed,
    decided: Rollout,
    told: _Told,
    *,
    now: datetime,
    settings: Settings,
) -> Plan:
    status = _status(resource, observed, decided)
    conditions = [
        _available(resource, decided, status),
        _progressing(decided, told),
        *_servable(told),
    ]
    status = {**status, "phase": _phase(conditions, decided, status, told)}
    return Plan(
        status=merge(resource, status, *conditions, now=now),
        apply=tuple(_apply(resource, decided, told.runtime, settings=settings)),
        delete=tuple(_delete(resource, observed, decided)),
        events=tuple(_events(resource, decided, told)),
        recheck_after=decided.recheck_after,
    )


def _apply(
    resource: Object, decided: Rollout, runtime: Runtime | None, *, settings: Settings
) -> Iterator[Object]:
    yield serving.serving_service(resource)
    yield serving.disruption_budget(resource)
    if runtime is None:
        return
    for target in decided.keep:
        signed = token.deployment_token(resource, [target.digest], key=settings.signing_key)
        yield serving.serving_secret(resource, target, token=signed)
        yield serving.serving_deployment(resource, target, runtime=runtime, settings=settings)


def _delete(resource: Object, observed: Observed, decided: Rollout) -> Iterator[Ref]:
    meta = resource["metadata"]
    for child in observed.children:
        target = serving.served(child)
        if target is None or target.digest not in decided.remove:
            continue
        yield Ref.of(child)
        secret = names.serving_secret(meta["name"], target.digest)
        yield Ref("v1", "Secret", meta["namespace"], secret)


def _status(resource: Object, observed: Observed, decided: Rollout) -> Object:
    held = {
        k: v
        for k, v in (resource.get("status") or {}).items()
        if k in {"conditions", "observedGeneration"}
    }
    counts = [_counts(c) for c in observed.children if _serves(c, decided)]
    pods, ready = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    rejected = decided.rejected
    fields: dict[str, Any] = {
        "stable": _wire(decided.stable),
        "updating": _wire(decided.updating),
        "replicas": pods,
        "readyReplicas": ready,
        "endpoint": serving.endpoint(resource),
        "selector": serving.selector(resource),
        "rejected": rejected and _rejected_wire(rejected),
    }
    return {**held, **{k: v for k, v in fields.items() if v is not None}}


def _serves(child: Object, decided: Rollout) -> bool:
    target, stable = serving.served(child), decided.stable
    return target is not None and stable is not None and target.digest == stable.digest


def _counts(child: Object) -> tuple[int, int]:
    status = child.get("status") or {}
    return status.get("replicas", 0), status.get("readyReplicas", 0)


def _available(resource: Object, decided: Rollout, status: Object) -> Condition:
    wanted, ready = resource["spec"].get("replicas", 1), status["readyReplicas"]
    if decided.stable is None:
        reason, message = ServingReason.STARTING, "No version has been ready yet"
        return Condition(AVAILABLE, "False", reason, message)
    number = decided.stable.version
    if wanted == 0:
        message = f"Version {number} is scaled to zero: nothing answers"
        return Condition(AVAILABLE, "False", ServingReason.SCALED_TO_ZERO, message)
    message = f"Version {number} is served by {ready} of {wanted} replicas"
    if ready:
        return Condition(AVAILABLE, "True", ServingReason.AVAILABLE, message)
    return Condition(AVAILABLE, "False", ServingReason.NOT_READY, message)


def _progressing(decided: Rollout, told: _Told) -> Condition:
    if told.problem is not None:
        stays = f"; version {decided.stable.version} goes on serving" if decided.stable else ""
        problem = told.problem
        return Condition(PROGRESSING, "False", problem.reason, f"{problem.message}{stays}")
    if decided.updating is not None:
        message = f"Version {decided.updating.version} is starting"
        return Condition(PROGRESSING, "True", ServingReason.UPDATING, message)
    if not decided.finished:
        return Condition(
            PROGRESSING, "True", ServingReason.STARTING, "Not all replicas are up to date and ready"
        )
    return Condition(
        PROGRESSING, "True", ServingReason.COMPLETE, "Every replica is up to date and ready"
    )


def _servable(told: _Told) -> Iterator[Condition]:
    verdict = told.verdict
    if verdict is not None:
        yield Condition(SERVABLE, verdict.status, verdict.reason, verdict.message)


def _phase(conditions: list[Condition], decided: Rollout, status: Object, told: _Told) -> str:
    available = conditions[0].status == "True"
    if decided.stable is None:
        failed = told.problem is not None and decided.updating is None
        return "Degraded" if failed and decided.rejected else "Pending"
    if not available and told.wish.replicas:
        return "Degraded"
    if told.problem is not None or status["readyReplicas"] < told.wish.replicas:
        return "Degraded"
    return "Progressing" if decided.updating else "Available" if available else "Pending"


def _events(resource: Object, decided: Rollout, told: _Told) -> Iterator[Event]:
    status = resource.get("status") or {}
    before, rejected = _target(status.get("stable")), decided.rejected
    if decided.stable and decided.stable != before:
        was = f" instead of version {before.version}" if before else ""
        yield Event("Normal", "RolledOut", f"Version {decided.stable.version} is served{was}")
    if rejected and rejected != _rejected(status.get("rejected")):
        yield Event("Warning", "Rejected", f"{rejected.reason}: {rejected.message}")
    if decided.updating and decided.updating != _target(status.get("updating")):
        yield Event("Normal", "Updating", f"Version {decided.updating.version} is starting")
    progressing = find(status, PROGRESSING) or {}
    problem = told.problem
    if problem and not rejected and progressing.get("reason") != problem.reason:
        yield Event("Warning", problem.reason, problem.message)


def _target(wire: Object | None) -> Target | None:
    return Target(int(wire["version"]), wire["digest"]) if wire else None


def _wire(target: Target | None) -> Object | None:
    return {"version": target.version, "digest": target.digest} if target else None


def _rejected(wire: Object | None) -> Rejected | None:
    if not wire:
        return None
    return Rejected(wire["digest"], wire["reason"], wire.get("message", ""), wire.get("retry"))


def _rejected_wire(rejected: Rejected) -> Object:
    wire: Object = {"digest": rejected.digest, "reason": rejected.reason}
    if rejected.message:
        wire["message"] = rejected.message
    if rejected.retry is not None:
        wire["retry"] = rejected.retry
    return wire


def _of_model(model: Object, world: World) -> Iterable[str]:
    return _following(model["metadata"]["namespace"], model["metadata"]["name"], world)


def _of_version(version: Object, world: World) -> Iterable[str]:
    return _following(version["metadata"]["namespace"], version["spec"]["model"], world)


def _following(namespace: str, model: str, world: World) -> Iterable[str]:
    found = world.list(MODEL_DEPLOYMENTS, namespace)
    return [d["metadata"]["name"] for d in found if d["spec"]["model"]["name"] == model]


KIND = Kind(
    resource=MODEL_DEPLOYMENTS,
    condition=PROGRESSING,
    observe=observe,
    plan=plan,
    wakes={
        MODELS: _of_model,
        MODEL_VERSIONS: _of_version,
        DEPLOYMENTS: owner_of("Deployment"),
        SERVICES: owner_of("Deployment"),
        PODS: labelled(names.DEPLOYMENT),
    },
)
