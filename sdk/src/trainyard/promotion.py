"""Move an alias of a Model: what to write, and how to read the answer.

The deciding is pure; `move_alias` does it. Gates and rights are judged in the cluster alone.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainyard_api.deployment import Deployment
from trainyard_api.model import Model, StageStatus
from trainyard_api.model_version import ModelVersion

from trainyard.client import Client
from trainyard.errors import Conflict, InvalidInput, NotFound, Refused, TimedOut

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What holds after the cluster has judged."""

    held: int | None
    refused: str = ""
    followers: tuple[str, ...] = ()


def alias_patch(
    model: Model, alias: str, version: int, *, user: str, force: bool = False
) -> list[dict[str, Any]]:
    """Write the JSON patch that moves *alias* to *version* if nobody was faster.

    It tests the old value; where there is none yet, which a patch cannot test,
    it tests that the Model did not change at all.
    """
    path = f"/spec/aliases/{alias.replace('~', '~0').replace('/', '~1')}"
    old = wanted(model, alias)
    revision = model.metadata.resource_version
    change: list[dict[str, Any]]
    if old is not None:
        change = [
            {"op": "test", "path": path, "value": old},
            {"op": "replace", "path": path, "value": version},
        ]
    else:
        first = model.spec.aliases is None
        target, value = ("/spec/aliases", {alias: version}) if first else (path, version)
        change = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": revision},
            {"op": "add", "path": target, "value": value},
        ]
    change.append({"op": "add", "path": "/spec/promotedBy", "value": user})
    if force:
        change.append({"op": "add", "path": "/spec/force", "value": version})
    return change


def wanted(model: Model, alias: str) -> int | None:
    """Return the version that the spec wants in *alias*."""
    return (model.spec.aliases or {}).get(alias)


def held(model: Model, alias: str) -> int | None:
    """Return the version that *alias* holds."""
    stage = stage_status(model, alias)
    return stage.version if stage is not None else model.status.aliases.get(alias)


def pointers(model: Model) -> list[str]:
    """Return the names of all stages, and then of the aliases without a policy."""
    stages = [stage.name for stage in model.spec.stages]
    return list(dict.fromkeys([*stages, *(model.spec.aliases or ())]))


def stage_status(model: Model, name: str) -> StageStatus | None:
    """Return what the status says of a stage; None for an alias without policy."""
    return next((stage for stage in model.status.stages if stage.name == name), None)


def outcome(model: Model, alias: str, version: int, *, generation: int) -> Outcome | None:
    """Read the cluster's answer to a move; None while it has not answered yet."""
    if (model.status.observed_generation or 0) < generation:
        return None
    now = held(model, alias)
    if now == version:
        return Outcome(now)
    stage = stage_status(model, alias)
    refusal = stage.refusal if stage is not None else None
    if refusal is not None and refusal.version == version:
        return Outcome(now, refused=f"{refusal.reason}: {refusal.message}")
    ready = model.status.condition("Ready")
    broken = ready is not None and ready.status == "False" and ready.reason != "GateRefused"
    if broken and ready is not None and (ready.observed_generation or 0) >= generation:
        return Outcome(now, refused=f"{ready.reason}: {ready.message}")
    return None


def headline_metrics(version: ModelVersion, model: Model) -> str:
    """Write the metrics that gates look at, or those of validation, or any three."""
    gated = {rule.metric for stage in model.spec.stages for rule in stage.requires}
    metrics = version.status.metrics
    telling = [name for name in metrics if name in gated]
    telling = telling or [name for name in metrics if name.startswith(("val_", "test_"))]
    shown = (telling or list(metrics))[:3]
    return ", ".join(f"{name}={float(metrics[name]):.6g}" for name in shown)


def check_stage(model: Model, stage: str) -> None:
    """Refuse a stage that looks like a slip of the keyboard.

    Raises:
        InvalidInput: the Model has stages, and this is none of them, but much like one.
    """
    stages = [each.name for each in model.spec.stages]
    known = pointers(model)
    if not stages or stage in known:
        return
    near = difflib.get_close_matches(stage, known, n=1)
    if near:
        raise InvalidInput(
            f"Model {model.metadata.name} has no stage {stage!r}",
            fix=f"Did you mean {near[0]}? Its stages are {', '.join(stages)}",
        )


def move_alias(
    client: Client,
    name: str,
    version: int,
    *,
    stage: str,
    force: bool = False,
    timeout: float = 60,
    seen: Callable[[Model], None] | None = None,
) -> Outcome:
    """Move *stage* of the Model to *version* and wait for the verdict.

    Raises:
        NotFound: there is no such Model or version.
        Conflict: somebody else moved the stage at the same time.
        Forbidden, Refused: the caller may not promote.
        TimedOut: the operator did not answer.
    """
    model = client.get(Model, name)
    check_stage(model, stage)
    _check_version(client, name, version)
    written = _write(client, model, stage, version, force=force)
    generation = written.metadata.generation
    for _, latest in client.watch(Model, name, timeout=timeout):
        if seen is not None:
            seen(latest)
        if (answer := outcome(latest, stage, version, generation=generation)) is not None:
            return Outcome(answer.held, answer.refused, followers(client, name, stage))
    raise TimedOut(
        f"Nobody judged the move of {stage} to version {version} within {timeout:g} s",
        fix="The wish is stored and will be judged; `trainyard doctor` looks at the operator",
    )


def followers(client: Client, model: str, alias: str) -> tuple[str, ...]:
    """List the Deployments that serve what *alias* holds."""
    return tuple(
        each.metadata.name
        for each in client.list(Deployment)
        if each.spec.model.name == model and each.spec.model.alias == alias
    )


def _check_version(client: Client, name: str, version: int) -> None:
    try:
        client.get(ModelVersion, f"{name}-{version}")
    except NotFound as exc:
        there = sorted(
            each.spec.version for each in client.list(ModelVersion) if each.spec.model == name
        )
        raise NotFound(
            f"Model {name} has no version {version}",
            fix=f"It has {', '.join(map(str, there)) or 'none'}: `trainyard versions {name}`",
            status=404,
        ) from exc


def _write(client: Client, model: Model, stage: str, version: int, *, force: bool) -> Model:
    name, old = model.metadata.name, wanted(model, stage)
    for _ in range(_TRIES):
        patch = alias_patch(model, stage, version, user=client.username, force=force)
        try:
            return client.patch(Model, name, patch, what=f"move {stage} of {name} to {version}")
        except (Refused, Conflict) as exc:
            if not (isinstance(exc, Conflict) or _is_failed_test(exc)):
                raise
            model = client.get(Model, name)
            if exc.doubtful and wanted(model, stage) == version:
                return model
            if wanted(model, stage) != old:
                raise Conflict(
                    f"Somebody moved {stage} of {name} to version {wanted(model, stage)} meanwhile",
                    fix="Look at it (trainyard models) and repeat if you still want to",
                    status=409,
                ) from exc
    raise Conflict(f"{name} keeps changing", fix="Try again in a moment", status=409)


def _is_failed_test(error: Refused) -> bool:
    """Tell a failed `test` of a JSON patch from a rule that was broken: only the text does."""
    text = error.message
    return "rejected our request" in text or "testing value" in text or "test failed" in text
