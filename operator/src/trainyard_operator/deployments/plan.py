"""Deployment: the version it follows, served by a child per digest behind one Service.

Which version, may it run here, which children exist: each is a pure decision (policies/), and
this module joins them and writes down the outcome.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.conditions import ServingReason
from trainyard_api.moment import rfc3339

from trainyard_operator import names, tokens
from trainyard_operator.deployments import children, following, pacing, rollout
from trainyard_operator.deployments import status as serving_status
from trainyard_operator.deployments.effects import Restart
from trainyard_operator.deployments.following import Followed, Order
from trainyard_operator.deployments.pacing import Change
from trainyard_operator.deployments.pods import failure_of, tried_since, unrest_of
from trainyard_operator.deployments.rollout import Child, Rejected, Rollout, Target
from trainyard_operator.engine import objects
from trainyard_operator.engine.conditions import find, merge, parse_time
from trainyard_operator.engine.errors import NameTaken
from trainyard_operator.engine.objects import BUDGETS, DEPLOYMENTS, PODS, SERVICES
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.engine.world import World
from trainyard_operator.names import MODEL_VERSIONS, MODELS
from trainyard_operator.settings import Settings

# How often a child that must restart asks whether it is its turn.
_TURN = timedelta(seconds=10)
_LONG_AFTER = parse_time("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Observed:
    """What a Deployment follows and what serves it."""

    followed: Followed
    children: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    service: Object | None = None
    budgets: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sought:
    """A child that must be, the token that it mounts, and the present child if it must wait."""

    target: Target
    wanted: Object
    secret: Object
    waits: Object | None


async def observe(resource: Object, world: World) -> Observed:
    """Look at the Model, the version and the children."""
    meta = resource["metadata"]
    namespace = meta["namespace"]
    return Observed(
        followed=_followed(resource["spec"]["model"], namespace, world),
        children=tuple(world.list(DEPLOYMENTS, namespace, owner=meta["uid"])),
        pods=tuple(world.list(PODS, namespace, labels={names.DEPLOYMENT: meta["name"]})),
        service=world.get(SERVICES, namespace, meta["name"]),
        budgets=tuple(world.list(BUDGETS, namespace, owner=meta["uid"])),
    )


def _followed(wanted: Object, namespace: str, world: World) -> Followed:
    model = world.get(MODELS, namespace, wanted["name"])
    number = wanted.get("version")
    if number is None and model is not None:
        number = ((model.get("status") or {}).get("aliases") or {}).get(wanted["alias"])
    if number is None:
        return Followed(model)
    name = names.model_version(wanted["name"], number)
    return Followed(model, number, world.get(MODEL_VERSIONS, namespace, name))


def plan(resource: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide which children exist, and tell how far it is.

    Raises:
        NameTaken: A Service of that name is somebody else's.
    """
    status = dict(resource.get("status") or {})
    if "deletionTimestamp" in resource["metadata"]:
        return Plan(status=status)
    _refuse_foreign(resource, observed.service)
    order = following.decide(resource, observed.followed, runtimes=settings.runtimes)
    decided = rollout.decide(
        order.wish,
        children=_children(resource, observed, now=now),
        stable=_target(status.get("stable")),
        rejected=_rejected(status.get("rejected")),
        now=now,
    )
    return _carry_out(resource, observed, order, decided, now=now, settings=settings)


def _refuse_foreign(resource: Object, service: Object | None) -> None:
    if service is None or objects.is_ours(service, resource):
        return
    name = resource["metadata"]["name"]
    raise NameTaken(
        ServingReason.NAME_TAKEN,
        f"another Service is named {name}: delete it, or give the Deployment another name",
    )


def _children(resource: Object, observed: Observed, *, now: datetime) -> list[Child]:
    updating = (resource.get("status") or {}).get("updating") or {}
    seen = (_child(c, observed, updating, now=now) for c in observed.children)
    return [child for child in seen if child]


def _child(child: Object, observed: Observed, updating: Object, *, now: datetime) -> Child | None:
    target = children.served(child)
    if target is None:
        return None
    pods = _pods(target, observed)
    started = tried_since(pods)
    status, meta = child.get("status") or {}, child["metadata"]
    seen = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    wanted = child["spec"].get("replicas", 1)
    return Child(
        target=target,
        since=_since(target, started, updating, now=now) if started else None,
        started=started,
        ready=status.get("readyReplicas", 0),
        is_current=seen and status.get("updatedReplicas", 0) >= wanted,
        deleting="deletionTimestamp" in meta,
        failure=failure_of(pods, child),
    )


def _since(target: Target, started: datetime, updating: Object, *, now: datetime) -> datetime:
    """Return when we first saw this try: a node's clock may be an hour behind, or ahead."""
    seen = (updating.get("digest"), updating.get("started"))
    return parse_time(updating["since"]) if seen == (target.digest, rfc3339(started)) else now


def _pods(target: Target | None, observed: Observed) -> list[Object]:
    digest = names.short_digest(target.digest) if target else ""
    labels = ((p, p["metadata"].get("labels") or {}) for p in observed.pods)
    return [pod for pod, held in labels if target and held.get(names.DIGEST) == digest]


def _carry_out(
    resource: Object,
    observed: Observed,
    order: Order,
    decided: Rollout,
    *,
    now: datetime,
    settings: Settings,
) -> Plan:
    status = _status(resource, observed, decided)
    ready = status["readyReplicas"]
    status["phase"] = serving_status.phase(order, decided, ready=ready)
    unrest = unrest_of(_pods(decided.stable, observed))
    conditions = serving_status.tell(order, decided, ready=ready, unrest=unrest)
    service = children.serving_service(resource)
    sought = tuple(_sought(resource, observed, order, decided, settings=settings))
    restarts = tuple(_restart(sought, observed))
    # Made once if nobody has the name yet; kept as described only when it is known to be ours.
    known = observed.service is not None
    return Plan(
        status=merge(resource, status, *conditions, now=now),
        apply=(
            *((service,) if known else ()),
            children.disruption_budget(resource),
            *_apply(sought),
        ),
        create=(
            *(() if known else (service,)),
            *_secrets(sought, observed, now=now),
        ),
        delete=tuple(_delete(resource, observed, decided, settings)),
        effects=restarts,
        events=tuple(_events(resource, order, decided)),
        recheck_after=_sooner(decided.recheck_after, observed.pods, waits=bool(restarts)),
    )


def _sooner(
    recheck: timedelta | None, pods: tuple[Object, ...], *, waits: bool
) -> timedelta | None:
    """Return when to look again: soon for a turn, and while a pod may lack its token."""
    unsure = any(tokens.may_be_missing(pod, now=_LONG_AFTER) for pod in pods)
    times = (recheck, _TURN if waits else None, tokens.MOUNTING if unsure else None)
    return min((time for time in times if time is not None), default=None)


def _sought(
    resource: Object, observed: Observed, order: Order, decided: Rollout, *, settings: Settings
) -> Iterator[_Sought]:
    if order.runtime is None:
        return
    present = {child["metadata"]["name"]: child for child in observed.children}
    for target in decided.keep:
        child = children.serving_deployment(
            resource, target, runtime=order.runtime, settings=settings
        )
        held = present.get(child["metadata"]["name"])
        wanted = pacing.marked(child, resource, target, present=held)
        secret = children.serving_secret(resource, target.digest, settings=settings)
        waits = held if pacing.decide(wanted, held) is Change.IN_TURN else None
        yield _Sought(target, wanted, secret, waits)


def _secrets(sought: Iterable[_Sought], observed: Observed, *, now: datetime) -> Iterator[Object]:
    """Yield the tokens that no child mounts yet, and those that its pods may wait for."""
    for each in sought:
        pods = _pods(each.target, observed)
        wanted = tokens.lacking(each.secret, pods, now=now)
        if each.waits is None and not _is_mounted(each.secret, observed):
            wanted[each.secret["metadata"]["name"]] = each.secret
        yield from wanted.values()


def _is_mounted(secret: Object, observed: Observed) -> bool:
    return any(children.mounts(child, secret) for child in observed.children)


def _apply(sought: Iterable[_Sought]) -> Iterator[Object]:
    for each in sought:
        scaled = pacing.meanwhile(each.wanted, each.waits) if each.waits else each.wanted
        if scaled is not None:
            yield scaled


def _restart(sought: Iterable[_Sought], observed: Observed) -> Iterator[Restart]:
    for each in sought:
        if each.waits is not None:
            secret = None if _is_mounted(each.secret, observed) else each.secret
            yield Restart(pacing.in_turn(each.wanted), secret)


def _delete(
    resource: Object, observed: Observed, decided: Rollout, settings: Settings
) -> Iterator[Ref]:
    for budget in observed.budgets:
        # Of an operator that gave it the Deployment's plain name.
        if budget["metadata"]["name"] != names.disruption_budget(resource):
            yield Ref.of(budget)
    spared = _just_rejected(resource, decided)
    for child in observed.children:
        target = children.served(child)
        if target is None or target.digest not in decided.remove or target.digest == spared:
            continue
        secret = children.serving_secret(resource, target.digest, settings=settings)
        yield from tokens.refs(secret, (child,))
        # Last: while it is there, a removal that was cut short begins again.
        yield Ref.of(child)


def _just_rejected(resource: Object, decided: Rollout) -> str:
    """Return the digest whose rejection the status does not tell yet.

    Its child goes at the next look: gone without a word in the status, it would be tried again.
    """
    rejected = decided.rejected
    told = _rejected((resource.get("status") or {}).get("rejected"))
    return rejected.digest if rejected and rejected != told else ""


def _status(resource: Object, observed: Observed, decided: Rollout) -> Object:
    kept = resource.get("status") or {}
    serving = [c for c in observed.children if _serves(c, decided)]
    rejected = decided.rejected
    fields: dict[str, Any] = {
        "stable": _wire(decided.stable),
        "updating": _updating_wire(decided),
        # All that the selector covers, for autoscalers; ready are those of what is served.
        "replicas": _count("replicas", observed.children),
        "readyReplicas": _count("readyReplicas", serving),
        "endpoint": children.endpoint(resource),
        "selector": children.selector(resource),
        "rejected": rejected and _rejected_wire(rejected),
        "conditions": kept.get("conditions"),
        "observedGeneration": kept.get("observedGeneration"),
    }
    return {k: v for k, v in fields.items() if v is not None}


def _serves(child: Object, decided: Rollout) -> bool:
    target, stable = children.served(child), decided.stable
    return target is not None and stable is not None and target.digest == stable.digest


def _count(field: str, children: Iterable[Object]) -> int:
    return sum((c.get("status") or {}).get(field, 0) for c in children)


def _events(resource: Object, order: Order, decided: Rollout) -> Iterator[Event]:
    status = resource.get("status") or {}
    before, rejected = _target(status.get("stable")), decided.rejected
    if decided.stable and decided.stable != before:
        was = f" instead of version {before.version}" if before else ""
        yield Event("Normal", "RolledOut", f"Version {decided.stable.version} is served{was}")
    if rejected and rejected != _rejected(status.get("rejected")):
        yield Event("Warning", "Rejected", f"{rejected.reason}: {rejected.message}")
    if decided.updating and decided.updating != _target(status.get("updating")):
        yield Event("Normal", "Updating", f"Version {decided.updating.version} is starting")
    told = find(status, serving_status.PROGRESSING) or {}
    problem = order.problem or decided.progressing
    if problem and not rejected and told.get("reason") != problem.reason:
        yield Event("Warning", problem.reason, problem.message)


def _target(wire: Object | None) -> Target | None:
    return Target(int(wire["version"]), wire["digest"]) if wire else None


def _wire(target: Target | None) -> Object | None:
    return {"version": target.version, "digest": target.digest} if target else None


def _updating_wire(decided: Rollout) -> Object | None:
    wire, child = _wire(decided.updating), decided.child
    if wire is None or child is None or child.started is None or child.since is None:
        return wire
    return {**wire, "started": rfc3339(child.started), "since": rfc3339(child.since)}


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
