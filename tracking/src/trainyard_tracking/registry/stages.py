"""What holds an alias, and how MLflow's stages map to ours. Pure.

A stage that the Model has a policy for is an alias: it holds what its gates let through. Any other
of MLflow's stages is a note on the Model, one for each version that was ever moved, so that a
move, and what it moves out of the stage, is one write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mlflow.entities.model_registry.model_version_stages import (
    ALL_STAGES,
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS,
    STAGE_ARCHIVED,
    STAGE_NONE,
)

from trainyard_tracking.kube import Object
from trainyard_tracking.registry.times import UPDATED, in_milliseconds, milliseconds, stamp

_CLASSIC = {stage.casefold(): stage for stage in ALL_STAGES}
_PREFIX = "stage.trainyard.dev/"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change in a Model: its aliases, and notes that belong to them.

    None takes an alias or a note away.
    """

    aliases: Mapping[str, int | None]
    notes: Mapping[str, str | None] = field(default_factory=dict)


def find_stage(model: Object, alias: str) -> Object | None:
    """Find the policy of an alias, if it has one."""
    return next((stage for stage in _policies(model) if stage["name"] == alias), None)


def stage_named(model: Object, classic: str) -> Object | None:
    """Find the stage that MLflow's name means, whatever its capitals."""
    wanted = classic.casefold()
    return next((one for one in _policies(model) if one["name"].casefold() == wanted), None)


def spelled(model: Object, stage: str) -> str | None:
    """Give a stage in its own spelling: one of the Model, or else one of MLflow's."""
    ours = stage_named(model, stage)
    return str(ours["name"]) if ours else _CLASSIC.get(stage.casefold())


def needs_approval(stage: Object | None) -> bool:
    """Tell whether people move a stage, who put their name to it."""
    return stage is not None and stage.get("promotion", "approval") == "approval"


def is_active(stage: str) -> bool:
    """Tell whether MLflow archives what such a stage held, if asked to."""
    return _CLASSIC.get(stage.casefold(), stage) in DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS


def known_stages(model: Object) -> list[str]:
    """Name all stages that a version of the Model can be moved to."""
    return [*ALL_STAGES, *(one["name"] for one in _policies(model) if not _is_classic(one))]


def held_aliases(model: Object) -> dict[str, int]:
    """Give what every alias points at.

    A stage points at what passed its gates, which is in the status. Any other alias is what the
    spec says, without waiting for anyone.
    """
    wanted = model.get("spec", {}).get("aliases") or {}
    held = (model.get("status") or {}).get("aliases") or {}
    stages = {stage["name"] for stage in _policies(model)}
    free = {alias: version for alias, version in wanted.items() if alias not in stages}
    gated = {alias: version for alias, version in held.items() if alias in stages}
    return {alias: int(version) for alias, version in {**free, **gated}.items()}


def staged(model: Object) -> set[int]:
    """Give the versions that stages hold."""
    names = {stage["name"] for stage in _policies(model)}
    return {version for alias, version in held_aliases(model).items() if alias in names}


def classic_stage(model: Object, version: int) -> str:
    """Give MLflow's stage of a version: the highest stage that it holds, or what was noted."""
    held = held_aliases(model)
    # Stages are listed from the first to the last; the last one that it holds counts.
    for stage in reversed(_policies(model)):
        if held.get(stage["name"]) == version and _is_classic(stage):
            return str(_CLASSIC[stage["name"].casefold()])
    noted = _noted(model, version)[0]
    return STAGE_NONE if stage_named(model, noted) else noted


def moved_at(model: Object, version: int) -> int:
    """Give when a version was last moved by its stage's name, in milliseconds; 0 if never."""
    return _noted(model, version)[1]


def transition(
    model: Object, version: int, stage: str, *, archive: bool, numbers: Iterable[int], now: datetime
) -> Change:
    """Say what it takes to move a version; all of it is one write.

    Args:
        model: The Model, as it is now.
        version: Number of the version to move.
        stage: A stage of the Model, or of MLflow's in its own spelling.
        archive: Whether what the stage held is archived.
        numbers: The versions that exist.
        now: The time.
    """
    target = stage_named(model, stage)
    wanted: dict[str, int] = model.get("spec", {}).get("aliases") or {}
    left: dict[str, int | None] = {
        one["name"]: None
        for one in _policies(model)
        if _is_classic(one)
        and one is not target
        and wanted.get(one["name"]) == version
        # The promoter would write it again.
        and one.get("promotion") != "automatic"
    }
    known = {number for number in numbers if number != version}
    held = held_aliases(model).get(target["name"]) if target else None
    before = {n for n in known if n == held or (not target and classic_stage(model, n) == stage)}
    notes: dict[str, str | None] = stamp(now, UPDATED)
    notes |= {_key(n): _note(STAGE_ARCHIVED, now) for n in before if archive}
    aliases: dict[str, int | None] = {**left, target["name"]: version} if target else left
    notes[_key(version)] = _note(STAGE_NONE if target else stage, now)
    gone = {key: None for key in _all_notes(model) if _number(key) not in {version, *known}}
    return Change(aliases, {**gone, **notes})


def without(model: Object, version: int) -> Change:
    """Say what goes from a Model with a version: MLflow drops its aliases, and so do we."""
    pointing = model.get("spec", {}).get("aliases") or {}
    aliases = [alias for alias, held in pointing.items() if held == version]
    notes = [key for key in _all_notes(model) if key == _key(version)]
    return Change(dict.fromkeys(aliases), dict.fromkeys(notes))


def automatic_holder(model: Object, version: int) -> str:
    """Name the automatic stage that holds a version in MLflow's eyes; none is the empty text."""
    held = held_aliases(model)
    found = (
        one["name"]
        for one in _policies(model)
        if one.get("promotion") == "automatic" and _is_classic(one)
    )
    return next((name for name in found if held.get(name) == version), "")


def _policies(model: Object) -> list[Object]:
    return list(model.get("spec", {}).get("stages") or ())


def _is_classic(stage: Object) -> bool:
    return stage["name"].casefold() in _CLASSIC


def _all_notes(model: Object) -> list[str]:
    return [key for key in model["metadata"].get("annotations") or () if key.startswith(_PREFIX)]


def _key(version: int) -> str:
    return f"{_PREFIX}{version}"


def _number(key: str) -> int:
    text = key.removeprefix(_PREFIX)
    return int(text) if text.isdecimal() else 0


def _note(stage: str, now: datetime) -> str:
    return f"{stage} {in_milliseconds(now)}"


def _noted(model: Object, version: int) -> tuple[str, int]:
    note = str((model["metadata"].get("annotations") or {}).get(_key(version), ""))
    stage, _, time = note.partition(" ")
    return (stage, milliseconds(time)) if stage in ALL_STAGES else (STAGE_NONE, 0)
