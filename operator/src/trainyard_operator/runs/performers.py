"""Make the calls that a Run's plans describe.

Every performer is idempotent and raises Retry or Terminal; none writes the Run's status.
"""

from collections.abc import Mapping
from datetime import timedelta

from trainyard_api.names import next_version

from trainyard_operator import names
from trainyard_operator.engine.errors import (
    Conflict,
    NameTaken,
    NotFound,
    NotYet,
    Retry,
    Terminal,
)
from trainyard_operator.engine.objects import API_VERSION
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.engine.world import World
from trainyard_operator.names import MODEL_VERSIONS, MODELS
from trainyard_operator.runs import effects
from trainyard_operator.runs.status import RECORDING
from trainyard_operator.tools import Tools

_CREATE_TRIES = 5
_REMEMBERED = 10_000


async def _record_run(call: effects.RecordRun, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    body = {
        "name": call.name,
        "experiment": call.experiment,
        "parameters": dict(call.parameters),
        "tags": dict(call.tags),
        "startTime": call.start_time,
        "attempt": call.attempt,
        "previous": dict(call.previous),
    }
    answer = await tools.tracking.put_run(call.namespace, call.run_id, body)
    tools.experiments[call.run_id] = str(answer.get("experimentID") or "")
    while len(tools.experiments) > _REMEMBERED:
        del tools.experiments[next(iter(tools.experiments))]
    return answer


async def _recall(call: effects.RecallExperiment, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    return {"experimentID": tools.experiments.get(call.run_id, "")}


async def _follow_log(call: effects.FollowLog, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    tools.logs.follow(call)
    return {}


async def _finish_run(call: effects.FinishRun, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    # All are asked for, not only up to the first that is missing: asking has them read.
    complete = [tools.logs.is_complete(log) for log in call.logs]
    if not all(complete):
        raise NotYet(*RECORDING, after=timedelta(seconds=1))
    body = {
        "status": call.outcome,
        "endTime": call.end_time,
        "parameters": dict(call.parameters),
        "logs": [*dict.fromkeys(log.attempt for log in call.logs), *tools.logs.tails(call.run_id)],
    }
    try:
        answer = await _finish(call, body, tools)
    except (Conflict, Terminal) as exc:
        if not tools.logs.append_tails(call.run_id):
            raise
        # The log ends elsewhere, or the service is an older one, which takes no tails.
        raise NotYet(*RECORDING, after=timedelta(seconds=1)) from exc
    except Retry:
        # However long this fails, the last lines are where all others are.
        tools.logs.append_tails(call.run_id)
        raise
    # Not before: until all logs are archived, the step is made again.
    tools.logs.forget(call.run_id)
    return answer


async def _finish(call: effects.FinishRun, body: Answer, tools: Tools) -> Answer:
    """Close the MLflow run; one that is gone, with its database say, is made anew first."""
    try:
        return await tools.tracking.finish_run(call.namespace, call.run_id, body)
    except NotFound:
        if call.anew is None:
            raise
    await _record_run(call.anew, tools, {})
    try:
        return await tools.tracking.finish_run(call.namespace, call.run_id, body)
    except NotFound as exc:
        raise Terminal("TrackingRefused", exc.message) from exc


async def _ask_models(call: effects.AskModels, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    try:
        return await tools.tracking.summary(call.namespace, call.run_id)
    except NotFound as exc:
        raise Terminal(
            "NoModelLogged",
            f"MLflow run {call.run_id} is gone, and with it which models it logged: register one"
            " that another Run logged",
        ) from exc


async def _create_version(
    call: effects.CreateVersion, tools: Tools, answers: Mapping[str, Answer]
) -> Answer:
    made = await _version_of_run(call, tools.world)
    if made:
        return {"name": made}
    path = effects.artifact_path(call, answers)
    await _ensure_model(call, tools)
    # Another writer may take a number between looking and creating: take the next.
    taken: set[int] = set()
    for _ in range(_CREATE_TRIES):
        number = next_version(_numbers(call, tools.world) | taken, _retired(call, tools.world))
        try:
            wanted = effects.version_object(call, number, path)
            # A version outlives its Run: the label tells whose it is, not an owner.
            created = await tools.kube.create(wanted, known_by=names.RUN_UID)
        except NameTaken:
            taken.add(number)
            continue
        return {"name": created["metadata"]["name"]}
    raise Retry("VersionNumberTaken", f"others keep taking the next version of {call.model}")


async def _version_of_run(call: effects.CreateVersion, world: World) -> str:
    # Asked, not looked up: one whose creation was not answered may not be in the cache yet.
    wanted = f"{names.RUN_UID}={call.run_uid}"
    found = await world.read_all(API_VERSION, "ModelVersion", call.namespace, labelSelector=wanted)
    return min((str(each["metadata"]["name"]) for each in found), default="")


def _numbers(call: effects.CreateVersion, world: World) -> set[int]:
    versions = world.list(MODEL_VERSIONS, call.namespace, by=(names.BY_MODEL, call.model))
    return {int(v["spec"]["version"]) for v in versions}


def _retired(call: effects.CreateVersion, world: World) -> int:
    model = world.get(MODELS, call.namespace, call.model) or {}
    return int((model.get("status") or {}).get("retired", 0))


async def _ensure_model(call: effects.CreateVersion, tools: Tools) -> None:
    held = tools.world.get(MODELS, call.namespace, call.model)
    if held is not None and "deletionTimestamp" in held["metadata"]:
        raise Terminal("ModelDeleted", effects.deleted(call))
    if held is not None:
        return
    try:
        await tools.kube.create(effects.model_object(call))
    except NameTaken:
        return  # somebody was faster: it is there, and that was the wish


PERFORMERS: Performers = {
    effects.RecordRun: _record_run,
    effects.RecallExperiment: _recall,
    effects.FollowLog: _follow_log,
    effects.FinishRun: _finish_run,
    effects.AskModels: _ask_models,
    effects.CreateVersion: _create_version,
}
