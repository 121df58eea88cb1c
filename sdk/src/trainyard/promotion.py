"""Move an alias of a Model: what to write, and how to read the answer.

The deciding is pure; `promote`, `rollback` and `demote` do it. Gates and rights are judged in
the cluster alone.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainyard_api.conditions import RefusalReason
from trainyard_api.deployment import Deployment
from trainyard_api.model import Model, Promotion, StageStatus
from trainyard_api.model_version import ModelVersion

from trainyard.client import Client
from trainyard.errors import Conflict, InvalidInput, NotFound, Refused, Rejected, TimedOut
from trainyard.session import client_or_default

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What holds after the cluster has judged."""

    held: int | None
    refused: str = ""
    followers: tuple[str, ...] = ()

    @property
    def is_unpublished(self) -> bool:
        """Tell whether the stage takes the version by itself, once it is published."""
        return self.refused.startswith(f"{RefusalReason.VERSION_NOT_PUBLISHED}:")


def alias_patch(
    model: Model, alias: str, version: int | None, *, user: str, force: bool = False
) -> list[dict[str, Any]]:
    """Write the JSON patch that moves *alias* to *version* if nobody was faster.

    It tests the old value; where there is none yet, which a patch cannot test, or no map
    that the patch could add to, it tests that the Model did not change at all. Without a version
    the alias goes. Who moves a stage that needs approval signs, even for taking it away; a name
    that stands beside any other alias is taken off.
    """
    path = f"/spec/aliases/{alias}"
    old = wanted(model, alias)
    revision = model.metadata.resource_version
    signature = _signature(model, alias, user)
    change: list[dict[str, Any]] = []
    if old is None or any(each["path"] == "/spec/promoters" for each in signature):
        change.append({"op": "test", "path": "/metadata/resourceVersion", "value": revision})
    if old is not None:
        change.append({"op": "test", "path": path, "value": old})
    if version is None:
        change.append({"op": "remove", "path": path})
    elif model.spec.aliases is None:
        change.append({"op": "add", "path": "/spec/aliases", "value": {alias: version}})
    else:
        change.append({"op": "add", "path": path, "value": version})
    change += signature
    if force:
        change.append({"op": "add", "path": "/spec/force", "value": version})
    return change


def _signature(model: Model, alias: str, user: str) -> list[dict[str, Any]]:
    path = f"/spec/promoters/{alias}"
    signed = model.spec.promoters
    if _needs_approval(model, alias):
        if signed is None:
            return [{"op": "add", "path": "/spec/promoters", "value": {alias: user}}]
        return [{"op": "add", "path": path, "value": user}]
    if alias not in (signed or {}):
        return []
    return [
        {"op": "test", "path": path, "value": (signed or {})[alias]},
        {"op": "remove", "path": path},
    ]


def _needs_approval(model: Model, alias: str) -> bool:
    return any(
        stage.name == alias and stage.promotion is Promotion.APPROVAL for stage in model.spec.stages
    )


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


def promote(
    model: str,
    version: int,
    *,
    stage: str,
    force: bool = False,
    timeout: float = 60,
    seen: Callable[[Model], None] | None = None,
    waits: Callable[[str], None] | None = None,
    client: Client | None = None,
) -> Outcome:
    """Move *stage* of *model* to *version*, through its gates, and wait until it holds it.

    A version that is still being published is waited for.

    Args:
        stage: a stage or any alias.
        force: whatever the metrics; the history will say so.
        seen: called with each state of the Model on the way.
        waits: called with what is waited for, once it is known.

    Raises:
        NotFound: there is no such Model or version.
        Rejected: a gate refuses it; the message has the figures. Or it is not published within
            *timeout* seconds.
        Conflict: somebody else moved the stage at the same time.
        Forbidden, Refused: the caller may not promote.
        TimedOut: the operator did not answer within *timeout* seconds.

    Example:
        >>> ty.promote("digits", 2, stage="production")  # doctest: +SKIP
    """
    client = client_or_default(client)
    found = client.get(Model, model)
    check_stage(found, stage)
    _check_version(client, model, version)
    return _moved(
        client, found, stage, version, force=force, timeout=timeout, seen=seen, waits=waits
    )


def rollback(
    model: str, *, stage: str, timeout: float = 60, client: Client | None = None
) -> Outcome:
    """Give *stage* back to the version that held it before; no gate stands in the way.

    Raises:
        InvalidInput: no version held it before.
        NotFound, Rejected, Conflict, Forbidden, Refused, TimedOut: as `promote`.

    Example:
        >>> ty.rollback("digits", stage="production").held  # doctest: +SKIP
    """
    client = client_or_default(client)
    found = client.get(Model, model)
    check_stage(found, stage)
    status = stage_status(found, stage)
    if status is None or status.previous is None:
        raise InvalidInput(
            f"No version held {stage} of {model} before",
            fix=f"Choose one: `trainyard versions {model}{client.command_options()}`, then"
            f" `trainyard promote {model} VERSION --to {stage}{client.command_options()}`",
        )
    return _moved(client, found, stage, status.previous, timeout=timeout)


def demote(model: str, *, stage: str, timeout: float = 60, client: Client | None = None) -> Outcome:
    """Take the version that *stage* of *model* holds off it; the stage holds nothing then.

    Deployments that follow the stage go on serving what they serve. What an automatic stage
    drops it takes again when a version passes its gates.

    Raises:
        InvalidInput: the stage holds nothing and no version is wanted in it.
        NotFound, Conflict, Forbidden, Refused, TimedOut: as `promote`.

    Example:
        >>> ty.demote("digits", stage="champion")  # doctest: +SKIP
    """
    client = client_or_default(client)
    found = client.get(Model, model)
    check_stage(found, stage)
    if wanted(found, stage) is None:
        raise InvalidInput(
            f"{stage} of {model} is set to no version",
            fix=f"`trainyard models{client.command_options()}` shows what is",
        )
    written = _write(client, found, stage, None, force=False)
    generation = written.metadata.generation
    for _, latest in client.watch(
        Model, model, namespace=found.metadata.namespace, timeout=timeout
    ):
        if (latest.status.observed_generation or 0) >= generation:
            return Outcome(held(latest, stage), followers=followers(client, model, stage))
    raise _unjudged(f"taking {stage} of {model} away", timeout, client.command_options())


def _moved(
    client: Client,
    model: Model,
    stage: str,
    version: int,
    *,
    timeout: float,
    force: bool = False,
    seen: Callable[[Model], None] | None = None,
    waits: Callable[[str], None] | None = None,
) -> Outcome:
    name = model.metadata.name
    written = _write(client, model, stage, version, force=force)
    generation, unpublished = written.metadata.generation, None
    for _, latest in client.watch(Model, name, timeout=timeout):
        if seen is not None:
            seen(latest)
        answer = outcome(latest, stage, version, generation=generation)
        if answer is None:
            continue
        if answer.is_unpublished:
            if waits is not None and unpublished is None:
                waits(answer.refused)
            unpublished = answer
        elif answer.refused:
            raise _refused(name, stage, version, answer, client.command_options())
        else:
            return Outcome(answer.held, followers=followers(client, name, stage))
    if unpublished is not None:
        raise _refused(name, stage, version, unpublished, client.command_options())
    raise _unjudged(f"the move of {stage} to version {version}", timeout, client.command_options())


def _refused(model: str, stage: str, version: int, answer: Outcome, where: str) -> Rejected:
    holds = f"version {answer.held}" if answer.held else "nothing"
    back = (
        f"trainyard promote {model} {answer.held} --to {stage}{where}"
        if answer.held
        else f"trainyard demote {model} --from {stage}{where}"
    )
    then = (
        f"; it takes the version by itself once it is published, which `trainyard describe version"
        f" {model}-{version}{where}` shows"
        if answer.is_unpublished
        else ""
    )
    return Rejected(
        f"{stage} of {model} refuses version {version}: {answer.refused.rstrip('.')}",
        fix=f"{stage} goes on holding {holds}{then}. To take the wish back: {back}",
    )


def _unjudged(what: str, timeout: float, where: str) -> TimedOut:
    return TimedOut(
        f"Nobody judged {what} within {timeout:g} s",
        fix=f"The wish is stored and will be judged; `trainyard doctor{where}` looks at the"
        " operator",
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
            fix=f"It has {', '.join(map(str, there)) or 'none'}: `trainyard versions"
            f" {name}{client.command_options()}`",
            status=404,
        ) from exc


def _write(client: Client, model: Model, stage: str, version: int | None, *, force: bool) -> Model:
    name, old = model.metadata.name, wanted(model, stage)
    to = f"version {version}" if version is not None else "no version"
    for _ in range(_TRIES):
        patch = alias_patch(model, stage, version, user=client.username, force=force)
        try:
            return client.patch(Model, name, patch, what=f"move {stage} of {name} to {to}")
        except (Refused, Conflict) as exc:
            if not (isinstance(exc, Conflict) or _is_failed_test(exc)):
                raise
            model = client.get(Model, name)
            now = wanted(model, stage)
            if exc.doubtful and now == version:
                return model
            if now != old:
                there = f"version {now}" if now is not None else "no version"
                raise Conflict(
                    f"Somebody moved {stage} of {name} to {there} meanwhile",
                    fix=f"Look at it (trainyard models{client.command_options()}) and repeat if you"
                    " still want to",
                    status=409,
                ) from exc
    raise Conflict(f"{name} keeps changing", fix="Try again in a moment", status=409)


def _is_failed_test(error: Refused) -> bool:
    """Tell a failed `test` of a JSON patch from a rule that was broken: only the text does."""
    text = error.message
    return "rejected our request" in text or "testing value" in text or "test failed" in text
