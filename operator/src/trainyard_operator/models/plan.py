"""Model: which version each alias holds, and why one does not hold what is wanted.

The decisions are policies/: this module reads a Model and its versions, and writes what was
decided as status, Events, audit lines and at most one write of the promoter.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trainyard_api.conditions import ModelReason, RefusalReason
from trainyard_api.moment import rfc3339

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, merge
from trainyard_operator.engine.objects import API_VERSION
from trainyard_operator.engine.plan import Effect, Event, Object, Plan, Ref
from trainyard_operator.engine.world import World
from trainyard_operator.finalizers.effects import Hold, ReleaseFinalizer
from trainyard_operator.models import audit, pointers, promotion
from trainyard_operator.models.effects import NoteRetired, SetAlias
from trainyard_operator.models.pointers import Holding, Move, Pointers, Refusal, Registry
from trainyard_operator.models.promotion import Promotion
from trainyard_operator.models.read import read_registry
from trainyard_operator.names import MODEL_VERSIONS
from trainyard_operator.numbers import Retired, retire
from trainyard_operator.settings import Settings

READY = "Ready"


@dataclass(frozen=True, slots=True)
class Observed:
    """The Model's versions, those being deleted included."""

    versions: tuple[Object, ...] = ()


async def observe(resource: Object, world: World) -> Observed:
    """Look at the versions of the Model."""
    meta = resource["metadata"]
    by = (names.BY_MODEL, meta["name"])
    found = world.list(MODEL_VERSIONS, meta["namespace"], by=by)
    if not found and "deletionTimestamp" in meta:
        # Asked before it is let go: one that is just being made would be an orphan.
        every = await world.read_all(API_VERSION, "ModelVersion", meta["namespace"])
        found = [each for each in every if each["spec"]["model"] == meta["name"]]
    return Observed(tuple(found))


def plan(resource: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide every pointer of the Model; of one that is being deleted, take its versions along."""
    del settings
    if "deletionTimestamp" in resource["metadata"]:
        return _go(resource, observed)
    registry = read_registry(resource, observed.versions)
    decided = pointers.decide(registry, now=now)
    promotions = {p.stage: p for p in promotion.decide(registry)}
    holdings = tuple(_with_candidate(h, promotions.get(h.stage)) for h in decided.holdings)
    status = {
        **(resource.get("status") or {}),
        **_status(registry, decided, holdings),
        **_numbers(resource, registry, pointed=decided.aliases.values()),
    }
    told = _ready(resource, registry, decided, promotions)
    status = merge(resource, audit.owe(status, decided.moves), told, now=now)
    noted = _note(resource, status["retired"])
    effects = (*_hold(resource), *noted, *_promote(resource, registry, promotions))
    if not effects and status == resource.get("status"):
        return audit.pay(resource, decided.history, now=now) or Plan(status=status)
    return Plan(
        status=status,
        effects=effects,
        events=tuple(_events(registry, decided, holdings)),
    )


def _hold(resource: Object) -> Iterator[Effect]:
    if names.VERSIONS_FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        yield Hold(Ref.of(resource), names.VERSIONS_FINALIZER)


def _note(resource: Object, highest: int) -> Iterator[Effect]:
    """Yield the note before the status lets a version go: no number is forgotten in between."""
    if highest > _noted(resource):
        yield NoteRetired(Ref.of(resource), highest)


def _noted(resource: Object) -> int:
    text = str((resource["metadata"].get("annotations") or {}).get(names.RETIRED, ""))
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _go(resource: Object, observed: Observed) -> Plan:
    """Delete the versions, then let the Model go.

    As long as we hold it no other Model has its name, so versions of that name are its own.
    """
    status = resource.get("status") or {}
    if names.VERSIONS_FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        return Plan(status=status)
    if not observed.versions:
        release = ReleaseFinalizer(Ref.of(resource), names.VERSIONS_FINALIZER)
        return Plan(status=status, effects=(release,))
    staying = (v for v in observed.versions if "deletionTimestamp" not in v["metadata"])
    return Plan(status=status, delete=tuple(Ref.of(v) for v in staying))


def _with_candidate(holding: Holding, automatic: Promotion | None) -> Holding:
    if automatic is None or holding.refusal is not None:
        return holding
    return replace(holding, candidate=automatic.candidate, refusal=automatic.refusal)


def _status(registry: Registry, decided: Pointers, holdings: Sequence[Holding]) -> Object:
    del registry
    return {
        "stages": [_stage_status(holding) for holding in holdings],
        "aliases": dict(sorted(decided.aliases.items())),
        "history": [_move_status(move) for move in decided.history],
    }


def _stage_status(holding: Holding) -> Object:
    refusal = holding.refusal
    return _present(
        name=holding.stage,
        version=holding.version,
        candidate=holding.candidate,
        since=rfc3339(holding.since) if holding.since else None,
        by=holding.by or None,
        previous=holding.previous,
        refusal=_present(version=refusal.version, reason=refusal.reason, message=refusal.message)
        if refusal
        else None,
    )


def _move_status(move: Move) -> Object:
    told = _present(time=rfc3339(move.time), stage=move.stage, by=move.by, reason=move.reason)
    # `from` is no name in Python.
    return {**told, **_present(**{"from": move.before, "to": move.after})}


def _numbers(resource: Object, registry: Registry, *, pointed: Iterable[int]) -> Object:
    status = resource.get("status") or {}
    existing = set(registry.versions)
    highest = max(status.get("retired", 0), _noted(resource))
    retired = retire(
        Retired(highest, tuple(status.get("retiredVersions") or ())),
        existing=existing,
        deleting={v.number for v in registry.versions.values() if v.deleting},
        pointed=set(pointed),
        latest_seen=status.get("latestVersion", 0),
    )
    numbers: Object = {
        "versions": len(existing),
        "retired": retired.highest,
        "retiredVersions": list(retired.numbers),
    }
    # Kept when the last version goes: a merge patch takes an absent field for a deletion.
    latest = max(existing, default=status.get("latestVersion"))
    return {**numbers, **_present(latestVersion=latest)}


def _ready(
    resource: Object,
    registry: Registry,
    decided: Pointers,
    promotions: dict[str, Promotion],
) -> Condition:
    problems = [
        *_refused(decided),
        *_deleting(registry, decided),
        *(_owned_elsewhere(resource, registry, p) for p in promotions.values() if p.blocked_by),
    ]
    if problems:
        message = "; ".join(message for _, message in problems)
        return Condition(READY, "False", problems[0][0], message)
    notes = [f"stage {p.stage} passed over version {p.refusal.version}: {p.refusal.message}"
             for p in promotions.values() if p.refusal]  # fmt: skip
    held = "Every alias holds the version that is wanted"
    return Condition(READY, "True", ModelReason.ALL_STAGES_HELD, "; ".join([held, *notes]))


def _refused(decided: Pointers) -> Iterator[tuple[str, str]]:
    stages = [("stage", h.stage, h.refusal) for h in decided.holdings if h.refusal]
    plain = [("alias", alias, refusal) for alias, refusal in decided.plain_refusals]
    for what, name, refusal in [*stages, *plain]:
        held = decided.aliases.get(name)
        stays = f"it stays at version {held}" if held else "it stays empty"
        yield (
            _reason(refusal),
            f"{what} {name} refused version {refusal.version}: {refusal.message}; {stays}",
        )


def _reason(refusal: Refusal) -> str:
    known: dict[str, str] = {
        RefusalReason.VERSION_MISSING: ModelReason.VERSION_MISSING,
        RefusalReason.VERSION_NOT_PUBLISHED: ModelReason.VERSION_NOT_PUBLISHED,
        RefusalReason.VERSION_REJECTED: ModelReason.VERSION_REJECTED,
    }
    return known.get(refusal.reason, ModelReason.GATE_REFUSED)


def _deleting(registry: Registry, decided: Pointers) -> Iterator[tuple[str, str]]:
    for alias, number in sorted(decided.aliases.items()):
        version = registry.versions.get(number)
        if version is not None and version.deleting:
            message = (
                f"version {number} is being deleted, and alias {alias} holds it: it stays until"
                f" spec.aliases.{alias} names another version or is removed"
            )
            yield ModelReason.VERSION_DELETING, message


def _owned_elsewhere(resource: Object, registry: Registry, blocked: Promotion) -> tuple[str, str]:
    alias, name = blocked.stage, resource["metadata"]["name"]
    patch = f'[{{"op":"remove","path":"/spec/aliases/{alias}"}}]'
    message = (
        f"alias {alias} is set to version {registry.wanted[alias]} by {blocked.blocked_by}, so"
        f" version {blocked.candidate} was not promoted: to let promotion go on, remove"
        f" spec.aliases.{alias} where it is set (a manifest in Git), or run kubectl patch model"
        f" {name} --type=json -p '{patch}'"
    )
    return ModelReason.ALIAS_OWNED_ELSEWHERE, message


def _promote(
    resource: Object, registry: Registry, promotions: dict[str, Promotion]
) -> Iterator[Effect]:
    meta = resource["metadata"]
    writes = {p.stage: p.write for p in promotions.values() if p.write is not None}
    if writes:
        # Server-side apply gives up what it does not repeat.
        kept = {
            alias: number
            for alias, number in registry.wanted.items()
            if registry.owners.get(alias) == names.PROMOTER and alias in promotions
        }
        yield SetAlias(meta["namespace"], meta["name"], meta["uid"], {**kept, **writes})


def _events(registry: Registry, decided: Pointers, holdings: Sequence[Holding]) -> Iterator[Event]:
    for move in decided.moves:
        before, after = move.before or "nothing", move.after or "nothing"
        by = f" by {move.by}" if move.by else ""
        yield Event(
            "Normal",
            "Moved",
            f"Stage {move.stage} moved from {before} to {after}{by} ({move.reason})",
        )
    for holding in holdings:
        old = registry.holdings.get(holding.stage)
        if holding.refusal and (old is None or old.refusal != holding.refusal):
            refusal = holding.refusal
            yield Event(
                "Warning",
                refusal.reason,
                f"Stage {holding.stage} refused version {refusal.version}: {refusal.message}",
            )


def _present(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value is not None}
