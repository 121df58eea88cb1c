"""Perform the calls that plans describe: one function per class of calls.py.

The only place where deciding meets the tracking service and other resources. Every performer
is idempotent and raises Retry or Terminal; none writes the reconciled resource's status.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

from trainyard_operator import calls, names
from trainyard_operator.errors import Conflict, NameTaken, NotFound, OperatorError, Retry
from trainyard_operator.kube import Kube
from trainyard_operator.plan import Effect, Object, Ref
from trainyard_operator.policies.run_status import RECORDING
from trainyard_operator.policies.versions import next_version
from trainyard_operator.tracking_client import TrackingClient
from trainyard_operator.world import MODEL_VERSIONS, MODELS, World

Answer = Mapping[str, Any]
E = TypeVar("E", bound=Effect)

_CREATE_TRIES = 5
_REMEMBERED = 10_000


class Logs(Protocol):
    """Who follows pods' logs: logs.LogKeeper, or a fake."""

    def follow(self, call: calls.FollowLog) -> None:
        """Have a log followed, if it is not yet."""

    def is_complete(self, call: calls.FollowLog) -> bool:
        """Tell whether all of a log has been shipped; follows it if nobody does."""

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What performers work with."""

    kube: Kube
    world: World
    tracking: TrackingClient
    logs: Logs
    experiments: dict[str, str] = field(default_factory=dict)


Performer = Callable[[E, Tools, Mapping[str, Answer]], Awaitable[Answer]]

# call class → performer(call, tools, answers of the plan's earlier calls by class name)
_PERFORMERS: dict[type[Effect], Performer[Any]] = {}


def performs(call: type[E]) -> Callable[[Performer[E]], Performer[E]]:
    """Register the performer of a call."""

    def register(performer: Performer[E]) -> Performer[E]:
        _PERFORMERS[call] = cast("Performer[Any]", performer)
        return performer

    return register


async def perform(effect: Effect, tools: Tools, answers: Mapping[str, Answer]) -> Answer:
    """Make one call and return its answer.

    Raises:
        Retry: Time mends it (a service is down).
        Terminal: The user must change something.
    """
    try:
        return await _PERFORMERS[type(effect)](effect, tools, answers)
    except (Conflict, NotFound) as exc:
        raise Retry(exc.reason, exc.message) from exc


@performs(calls.RecordRun)
async def _record_run(call: calls.RecordRun, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    body = {
        "name": call.name,
        "experiment": call.experiment,
        "parameters": dict(call.parameters),
        "tags": dict(call.tags),
        "startTime": call.start_time,
    }
    answer = await tools.tracking.put_run(call.namespace, call.run_id, body)
    tools.experiments[call.run_id] = str(answer.get("experimentID") or "")
    while len(tools.experiments) > _REMEMBERED:
        del tools.experiments[next(iter(tools.experiments))]
    return answer


@performs(calls.RecallExperiment)
async def _recall(call: calls.RecallExperiment, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    return {"experimentID": tools.experiments.get(call.run_id, "")}


@performs(calls.FollowLog)
async def _follow_log(call: calls.FollowLog, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    tools.logs.follow(call)
    return {}


@performs(calls.ArchiveLog)
async def _archive_log(call: calls.ArchiveLog, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    log = call.log
    if not tools.logs.is_complete(log):
        # The same words as before, so that waiting for the last lines writes no status.
        raise Retry(*RECORDING, after=timedelta(seconds=1))
    try:
        answer = await tools.tracking.archive_log(log.namespace, log.run_id, log.attempt)
    except NotFound:
        answer = {"artifact": ""}  # no line was ever written
    return answer


@performs(calls.FinishRun)
async def _finish_run(call: calls.FinishRun, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    body = {
        "status": call.outcome,
        "endTime": call.end_time,
        "parameters": dict(call.parameters),
    }
    answer = await tools.tracking.finish_run(call.namespace, call.run_id, body)
    # Not before: until all logs are archived, the step is made again from its beginning.
    tools.logs.forget(call.run_id)
    return answer


@performs(calls.CreateVersion)
async def _create_version(
    call: calls.CreateVersion, tools: Tools, answers: Mapping[str, Answer]
) -> Answer:
    made = _version_of_run(call, tools.world)
    if made:
        return {"name": made}
    path = calls.artifact_path(call, answers)
    await _ensure_model(call, tools)
    # Another writer may take a number between looking and creating: take the next.
    taken: set[int] = set()
    for _ in range(_CREATE_TRIES):
        number = next_version(_numbers(call, tools.world) | taken, _retired(call, tools.world))
        try:
            created = await tools.kube.create(calls.version_object(call, number, path))
        except NameTaken:
            taken.add(number)
            continue
        return {"name": created["metadata"]["name"]}
    raise Retry("VersionNumberTaken", f"others keep taking the next version of {call.model}")


def _version_of_run(call: calls.CreateVersion, world: World) -> str:
    labels = {names.RUN_UID: call.run_uid}
    found = world.list(MODEL_VERSIONS, call.namespace, labels=labels)
    return str(found[0]["metadata"]["name"]) if found else ""


def _numbers(call: calls.CreateVersion, world: World) -> set[int]:
    versions = world.list(MODEL_VERSIONS, call.namespace)
    return {int(v["spec"]["version"]) for v in versions if v["spec"]["model"] == call.model}


def _retired(call: calls.CreateVersion, world: World) -> int:
    model = world.get(MODELS, call.namespace, call.model) or {}
    return int((model.get("status") or {}).get("retired", 0))


async def _ensure_model(call: calls.CreateVersion, tools: Tools) -> None:
    if tools.world.get(MODELS, call.namespace, call.model) is not None:
        return
    try:
        await tools.kube.create(calls.model_object(call))
    except NameTaken:
        return  # somebody was faster: it is there, and that was the wish


@performs(calls.AddFinalizer)
async def _add_finalizer(call: calls.AddFinalizer, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    held = _finalizers(await _live(call.ref, tools))
    if held is None or call.finalizer in held:
        return {}
    await _set_finalizers(call.ref, held, [*held, call.finalizer], tools)
    return {}


@performs(calls.ReleaseFinalizer)
async def _release_finalizer(
    call: calls.ReleaseFinalizer, tools: Tools, _: Mapping[str, Answer]
) -> Answer:
    held = _finalizers(await _live(call.ref, tools))
    if held is None or call.finalizer not in held:
        return {}
    await _set_finalizers(call.ref, held, [f for f in held if f != call.finalizer], tools)
    return {}


@performs(calls.HoldVersion)
async def _hold_version(call: calls.HoldVersion, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    found = await _live(call.ref, tools)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return {}
    meta = found["metadata"]
    owners = [o for o in meta.get("ownerReferences") or () if not o.get("controller")]
    finalizers = meta.get("finalizers") or ()
    held = {
        "ownerReferences": [*owners, dict(call.owner)],
        "finalizers": sorted({*finalizers, names.RETIRE_FINALIZER}),
        "resourceVersion": meta["resourceVersion"],
    }
    await tools.kube.patch(call.ref, {"metadata": held})
    return {}


async def _live(ref: Ref, tools: Tools) -> Object | None:
    found = await tools.kube.read(ref)
    gone = found is None or (ref.uid and found["metadata"]["uid"] != ref.uid)
    return None if gone else found


def _finalizers(found: Object | None) -> list[str] | None:
    return None if found is None else list(found["metadata"].get("finalizers") or ())


async def _set_finalizers(ref: Ref, held: list[str], wanted: list[str], tools: Tools) -> None:
    path = "/metadata/finalizers"
    test = [{"op": "test", "path": path, "value": held}] if held else []
    change = {"op": "replace" if held else "add", "path": path, "value": wanted}
    await tools.kube.json_patch(ref, [*test, change])


@performs(calls.SetAlias)
async def _set_alias(call: calls.SetAlias, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    desired: Object = {
        "apiVersion": names.API_VERSION,
        "kind": "Model",
        "metadata": {"name": call.model, "namespace": call.namespace},
        "spec": {"aliases": dict(call.aliases), **call.spec},
    }
    try:
        await tools.kube.apply(desired, manager=names.PROMOTER, force=False)
    except Conflict as exc:
        raise Retry("AliasOwnedElsewhere", exc.message, after=timedelta(minutes=5)) from exc
    return {}


@performs(calls.Audit)
async def _audit(call: calls.Audit, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    await tools.tracking.audit(call.namespace, {"model": call.model, **call.line})
    return {}


def performed() -> frozenset[type[Effect]]:
    """Return the calls that can be performed, for the test that none is forgotten."""
    return frozenset(_PERFORMERS)


__all__ = ["Logs", "OperatorError", "Tools", "perform", "performed", "performs"]
