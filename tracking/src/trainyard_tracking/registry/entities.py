"""Turns resources into what MLflow shows. Pure."""

from typing import Any

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)
from trainyard_api.conditions import find_condition

from trainyard_tracking.kube import Object
from trainyard_tracking.registry.annotations import (
    model_id_of,
    run_id_of,
    run_link_of,
    source_of,
)
from trainyard_tracking.registry.resources import model_title
from trainyard_tracking.registry.stages import classic_stage, held_aliases, moved_at
from trainyard_tracking.registry.times import created_at, renamed_at, updated_at

_FAILED = "FAILED_REGISTRATION"
_PENDING = "PENDING_REGISTRATION"
_READY = "READY"


def registered_model(model: Object, versions: list[Object]) -> Any:
    """Show a Model; `versions` are its own."""
    aliases = held_aliases(model)
    numbers = {int(one["spec"]["version"]) for one in versions}
    return RegisteredModel(
        model_title(model),
        created_at(model),
        # As in MLflow, a model is updated by making a version of it.
        max([updated_at(model), *map(created_at, versions)]),
        model["spec"].get("description", ""),
        latest_versions(model, versions),
        [RegisteredModelTag(k, v) for k, v in (model["spec"].get("tags") or {}).items()],
        [
            RegisteredModelAlias(alias, str(version))
            for alias, version in sorted(aliases.items())
            if version in numbers
        ],
    )


def model_version(version: Object, model: Object) -> Any:
    """Show a ModelVersion of a Model."""
    number = int(version["spec"]["version"])
    status, message = _status(version)
    return ModelVersion(
        name=model_title(model),
        # A number, as in MLflow's own store: text sorts 10 before 9.
        version=number,
        creation_timestamp=created_at(version),
        last_updated_timestamp=max(updated_at(version), moved_at(model, number), renamed_at(model)),
        description=version["spec"].get("description", ""),
        current_stage=classic_stage(model, number),
        source=source_of(version),
        run_id=run_id_of(version),
        status=status,
        status_message=message,
        tags=[ModelVersionTag(k, v) for k, v in (version["spec"].get("tags") or {}).items()],
        run_link=run_link_of(version),
        aliases=[alias for alias, held in sorted(held_aliases(model).items()) if held == number],
        model_id=model_id_of(version),
    )


def latest_versions(model: Object, versions: list[Object]) -> list[Any]:
    """Show the newest version of every stage of MLflow's; `versions` are in order."""
    newest = {classic_stage(model, int(one["spec"]["version"])): one for one in versions}
    return [model_version(one, model) for one in newest.values()]


def _status(version: Object) -> tuple[str, str | None]:
    """Give MLflow's status: READY once the source is complete, whatever is published when."""
    status = version.get("status") or {}
    published = find_condition(version, "Published") or {}
    message = published.get("message") or None
    if published.get("reason") == "SourceIncomplete":
        return _PENDING, message
    if status.get("phase") == "Rejected":
        return _FAILED, message
    return _READY, None
