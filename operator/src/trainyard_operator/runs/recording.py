"""What is asked of the tracking service for a Run: at the start, on the way, at the end. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainyard_api.contract import DEFAULT_EXPERIMENT

from trainyard_operator import names
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.plan import Effect, Object
from trainyard_operator.runs import effects, provenance
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.outcome import MAIN, container_state


def record_run(run: Object) -> effects.RecordRun:
    """Return the call that makes the Run's MLflow run, clean for the attempt that is next."""
    spec, meta, status = run["spec"], run["metadata"], run.get("status") or {}
    number, _ = run_status.current_attempt(status)
    return effects.RecordRun(
        namespace=meta["namespace"],
        run_id=names.run_id(run),
        name=meta["name"],
        experiment=spec.get("experiment") or DEFAULT_EXPERIMENT,
        parameters=spec.get("parameters") or {},
        tags=provenance.tags(run),
        start_time=_milliseconds(meta["creationTimestamp"]),
        attempt=number,
        previous=_previous(status),
    )


def _previous(status: Object) -> Mapping[str, Any]:
    attempts: Sequence[Mapping[str, Any]] = status.get("attempts") or ({},)
    last = attempts[-1]
    if not last.get("completionTime"):
        return {}
    return {
        "status": "KILLED" if last.get("reason") in _STOPPED else "FAILED",
        "endTime": _milliseconds(last["completionTime"]),
    }


def _milliseconds(text: str) -> int:
    return int(parse_time(text).timestamp() * 1000)


def follow_log(
    run: Object, number: int, pod: Object | None, *, index: int = 0
) -> effects.FollowLog:
    """Return the call that ships the log of an attempt's pod."""
    return effects.FollowLog(
        namespace=run["metadata"]["namespace"],
        run=run["metadata"]["name"],
        run_id=names.run_id(run),
        attempt=number,
        pod=pod["metadata"]["name"] if pod else "",
        pod_uid=pod["metadata"]["uid"] if pod else "",
        index=index,
    )


def follow_started(
    run: Object, attempt: Attempt, *, is_retried: bool = False, is_final: bool = False
) -> tuple[Effect, ...]:
    """Return the same of each pod that has got as far as having a `main` that prints."""
    return tuple(
        replace(
            follow_log(run, attempt.number, pod, index=index),
            is_retried=is_retried,
            is_final=is_final,
        )
        for index, pod in attempt.pods.items()
        if _has_started(pod)
    )


def _has_started(pod: Object) -> bool:
    return "waiting" not in (container_state(pod, MAIN) or {"waiting": {}})


# Ends that leave no time to read the last of the log.
_CUT = frozenset({"PodLost", "Evicted", "Preempted", "TrackingMoved"})
_STOPPED = _CUT | {"Suspended"}
_OUTCOMES = {"Succeeded": "FINISHED", "Failed": "FAILED", "Cancelled": "KILLED"}


def recording(run: Object, last: Attempt) -> Sequence[Effect]:
    """Return what makes the end of a Run known: logs archived, MLflow run closed, registered.

    Args:
        last: The last attempt, with those of its pods that are still there to be read. The
            earlier ones had as many.
    """
    status, spec, meta = run["status"], run["spec"], run["metadata"]
    attempts: Sequence[Mapping[str, Any]] = status.get("attempts") or []
    logs = tuple(
        _last_of(run, entry, index, last.pods.get(index) if entry is attempts[-1] else None)
        for entry in attempts
        for index in range(last.size)
    )
    # Of the last attempt, should it have to be made anew: none follows.
    number = attempts[-1]["number"] if attempts else 1
    record = replace(record_run(run), condition="Recorded", attempt=number)
    done = effects.FinishRun(
        namespace=meta["namespace"],
        run_id=names.run_id(run),
        outcome=_OUTCOMES[status["phase"]],
        end_time=_milliseconds(status["completionTime"]),
        parameters=spec.get("parameters") or {},
        logs=logs,
        anew=record,
    )
    # A Run that never started has no MLflow run yet: it gets one, so that its end is on record.
    first: tuple[Effect, ...] = () if attempts else (record,)
    return [*first, done, *((_create_version(run),) if run_status.is_registering(run) else ())]


def registering(run: Object) -> Sequence[Effect]:
    """Return what registers the model of a Run that is on record already."""
    create = _create_version(run)
    if create.artifact_path:
        return (create,)
    return (effects.AskModels(create.namespace, names.run_id(run)), create)


def _create_version(run: Object) -> effects.CreateVersion:
    register, meta = run["spec"]["register"], run["metadata"]
    return effects.CreateVersion(
        namespace=meta["namespace"],
        model=register["model"],
        run=meta["name"],
        run_uid=meta["uid"],
        artifact_path=register.get("artifactPath") or "",
    )


def _last_of(
    run: Object, entry: Mapping[str, Any], index: int, pod: Object | None
) -> effects.FollowLog:
    started = pod if pod and _has_started(pod) else None
    call = follow_log(run, entry["number"], started, index=index)
    return replace(call, cut=entry.get("reason") in _CUT)
