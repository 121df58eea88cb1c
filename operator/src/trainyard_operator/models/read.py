"""A Model and its versions, read as the registry that pointers are decided on. Pure.

Only reading: what to do about it is pointers.py and promotion.py.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trainyard_operator.engine import conditions
from trainyard_operator.engine.plan import Object
from trainyard_operator.models.gates import Requirement
from trainyard_operator.models.pointers import Holding, Move, Refusal, Registry, Stage, Version
from trainyard_operator.names import PROMOTER


def read_registry(model: Object, versions: Iterable[Object]) -> Registry:
    """Return what a decision about the Model's pointers reads."""
    spec, status = model.get("spec") or {}, model.get("status") or {}
    return Registry(
        stages=tuple(_stage(stage) for stage in spec.get("stages") or ()),
        wanted=dict(spec.get("aliases") or {}),
        owners=alias_owners(model),
        versions={v.number: v for v in map(read_version, versions)},
        holdings={h.stage: h for h in map(_holding, status.get("stages") or ())},
        aliases=dict(status.get("aliases") or {}),
        history=tuple(_move(move) for move in status.get("history") or ()),
        force=spec.get("force"),
        promoters=dict(spec.get("promoters") or {}),
    )


def read_version(version: Object) -> Version:
    """Return a ModelVersion as pointers see it."""
    status = version.get("status") or {}
    published = conditions.find(status, "Published") or {}
    return Version(
        number=int(version["spec"]["version"]),
        phase=status.get("phase") or "Pending",
        metrics=dict(status.get("metrics") or {}),
        deleting="deletionTimestamp" in version["metadata"],
        problem=str(published.get("message", "")),
    )


def alias_owners(model: Object) -> dict[str, str]:
    """Return the field manager of each alias; another's claim hides the promoter's own."""
    owners: dict[str, str] = {}
    for entry in _alias_entries(model):
        for alias in _aliases(entry):
            if owners.get(alias, PROMOTER) == PROMOTER:
                owners[alias] = entry["manager"]
    return owners


def _alias_entries(model: Object) -> list[dict[str, Any]]:
    entries = model["metadata"].get("managedFields") or ()
    return [e for e in entries if not e.get("subresource") and _aliases(e)]


def _aliases(entry: Mapping[str, Any]) -> list[str]:
    fields = (entry.get("fieldsV1") or {}).get("f:spec", {}).get("f:aliases", {})
    return [key.removeprefix("f:") for key in fields if key.startswith("f:")]


def _stage(stage: Object) -> Stage:
    return Stage(
        name=stage["name"],
        automatic=stage.get("promotion") == "automatic",
        requires=tuple(_requirement(r) for r in stage.get("requires") or ()),
    )


def _requirement(requirement: Object) -> Requirement:
    threshold = requirement.get("threshold")
    return Requirement(
        metric=requirement["metric"],
        goal=requirement.get("goal", "maximize"),
        # By its shortest text: 0.01 is meant as a hundredth, not as the nearest double.
        threshold=None if threshold is None else Decimal(str(threshold)),
        better_than=requirement.get("betterThan"),
        margin=Decimal(str(requirement.get("margin") or 0)),
    )


def _holding(stage: Object) -> Holding:
    since, refusal = stage.get("since"), stage.get("refusal")
    return Holding(
        stage=stage["name"],
        version=stage.get("version"),
        since=conditions.parse_time(since) if since else None,
        by=stage.get("by", ""),
        previous=stage.get("previous"),
        candidate=stage.get("candidate"),
        refusal=Refusal(refusal["version"], refusal["reason"], refusal["message"])
        if refusal
        else None,
    )


def _move(move: Object) -> Move:
    return Move(
        time=conditions.parse_time(move["time"]),
        stage=move["stage"],
        before=move.get("from"),
        after=move.get("to"),
        by=move.get("by", ""),
        reason=move.get("reason", ""),
    )
