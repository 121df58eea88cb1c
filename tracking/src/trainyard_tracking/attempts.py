"""Gives the next attempt of a Run a clean sheet: what the last one recorded moves to a child run.

One transaction, so there is no half of it; which attempt a run is of is in its tag, so doing it
again does nothing, and an attempt that has begun to record is never moved away by a late repeat.
No file moves: the child keeps the old place of artifacts, and the run gets a new one.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.entities.entity_type import EntityAssociationType
from mlflow.store.tracking.dbmodels.models import (
    SqlAssessments,
    SqlEntityAssociation,
    SqlExperiment,
    SqlInput,
    SqlIssue,
    SqlLatestMetric,
    SqlLoggedModel,
    SqlLoggedModelMetric,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlTag,
    SqlTraceInfo,
    SqlTraceMetadata,
)
from mlflow.tracing.constant import TraceMetadataKey
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import String, bindparam, select, text
from trainyard_api.attempts import ATTEMPT_OF_TAG, ATTEMPT_TAG, attempt_name, attempt_run_id

RUNNING = "RUNNING"
# Where MLflow notes which run something is of. A column of rows that are a run's by more than
# that has a condition beside it.
_OWNED: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (SqlParam.run_uuid, ()),
    (SqlMetric.run_uuid, ()),
    (SqlLatestMetric.run_uuid, ()),
    (SqlTag.run_uuid, (SqlTag.key != ATTEMPT_TAG,)),
    (SqlInput.destination_id, (SqlInput.destination_type == "RUN",)),
    (SqlInput.source_id, (SqlInput.source_type.in_(("RUN_INPUT", "RUN_OUTPUT")),)),
    (SqlLoggedModel.source_run_id, ()),
    (SqlLoggedModelMetric.run_id, ()),
    (SqlAssessments.run_id, ()),
    (SqlIssue.source_run_id, ()),
    (
        SqlEntityAssociation.source_id,
        (SqlEntityAssociation.source_type == EntityAssociationType.RUN,),
    ),
    (
        SqlEntityAssociation.destination_id,
        (SqlEntityAssociation.destination_type == EntityAssociationType.RUN,),
    ),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that begins: its number, and how the one before it ended.

    Attributes:
        ended: MLflow's word for it.
        end_time: In milliseconds since 1970; None if it is not known.
    """

    number: int = 1
    ended: str = "FAILED"
    end_time: int | None = None


def begin(
    session: Any,
    run_id: str,
    attempt: Attempt,
    *,
    name: str,
    tags: Mapping[str, str],
    parameters: Mapping[str, str],
) -> bool:
    """Move what an earlier attempt recorded to a run of its own; tell whether there was one.

    Args:
        name: of the Run; with `tags`, what a clean run says of itself.
        parameters: of the Run; the earlier attempt's record gets those that it did not log.
    """
    # First of all a write, which makes a repeat of this call wait until this one is done.
    mine = session.query(SqlRun).filter(SqlRun.run_uuid == run_id)
    mine.update({"lifecycle_stage": SqlRun.lifecycle_stage}, synchronize_session=False)
    run = mine.populate_existing().one()
    held = session.query(SqlTag.value).filter_by(run_uuid=run_id, key=ATTEMPT_TAG).first()
    # A release before this one kept no number.
    last = int(held.value) if held and held.value.isdecimal() else attempt.number - 1
    if last >= attempt.number:
        return False
    child = _child(run, last, attempt, name=name)
    session.add(child)
    session.flush()
    _move(session, run_id, child.run_uuid, str(run.experiment_id))
    _describe(session, run_id, child, last, tags)
    add_missing_parameters(session, child.run_uuid, parameters)
    _end_children(session, run_id, child)
    _clean(session, run, attempt, name=name, tags=tags)
    return True


def _child(run: Any, number: int, attempt: Attempt, *, name: str) -> Any:
    ended = attempt.end_time or _now()
    return SqlRun(
        name=attempt_name(name, number),
        artifact_uri=run.artifact_uri,
        run_uuid=attempt_run_id(run.run_uuid, number),
        experiment_id=run.experiment_id,
        source_type=run.source_type,
        source_name=run.source_name,
        entry_point_name=run.entry_point_name,
        user_id=run.user_id,
        source_version=run.source_version,
        status=attempt.ended,
        start_time=run.start_time,
        end_time=max(ended, run.start_time),
        lifecycle_stage=run.lifecycle_stage,
        deleted_time=run.deleted_time,
    )


def _move(session: Any, run_id: str, child_id: str, experiment: str) -> None:
    for column, more in _OWNED:
        rows = session.query(column.class_).filter(column == run_id, *more)
        rows.update({column.key: child_id}, synchronize_session=False)
    # Values of tags and of traces' metadata have no index: the experiment narrows it down.
    traces = select(SqlTraceInfo.request_id).where(SqlTraceInfo.experiment_id == int(experiment))
    session.query(SqlTraceMetadata).filter(
        SqlTraceMetadata.request_id.in_(traces),
        SqlTraceMetadata.key == TraceMetadataKey.SOURCE_RUN,
        SqlTraceMetadata.value == run_id,
    ).update({"value": child_id}, synchronize_session=False)
    session.query(SqlTag).filter(
        SqlTag.key == MLFLOW_PARENT_RUN_ID, SqlTag.run_uuid.in_(below(session, run_id))
    ).update({"value": child_id}, synchronize_session=False)


def _describe(session: Any, run_id: str, child: Any, number: int, tags: Mapping[str, str]) -> None:
    said = {
        **tags,
        MLFLOW_RUN_NAME: child.name,
        MLFLOW_PARENT_RUN_ID: run_id,
        ATTEMPT_TAG: str(number),
        ATTEMPT_OF_TAG: run_id,
    }
    _tag(session, child.run_uuid, said)


def _end_children(session: Any, run_id: str, child: Any) -> None:
    """End the runs below an earlier attempt, and mark them as its."""
    ended = children(session, child.run_uuid)
    for one in ended:
        _tag(session, one, {ATTEMPT_OF_TAG: run_id})
    session.query(SqlRun).filter(SqlRun.run_uuid.in_(ended), SqlRun.status == RUNNING).update(
        {"status": child.status, "end_time": child.end_time}, synchronize_session=False
    )


def _clean(session: Any, run: Any, attempt: Attempt, *, name: str, tags: Mapping[str, str]) -> None:
    before, own, _ = run.artifact_uri.rpartition(f"/{run.run_uuid}")
    run.artifact_uri = artifacts_of(before + own, attempt.number)
    run.name, run.status, run.start_time, run.end_time = name, RUNNING, _now(), None
    # Somebody may have deleted the earlier attempt's; nothing can be logged to a deleted run.
    run.lifecycle_stage, run.deleted_time = LifecycleStage.ACTIVE, None
    _tag(session, run.run_uuid, first_tags(name, attempt.number, tags))


def artifacts_of(folder: str, number: int) -> str:
    """Return where an attempt's artifacts are, below the folder of its Run."""
    parts = ("artifacts",) if number == 1 else (f"a{number}", "artifacts")
    return str(append_to_uri_path(folder, *parts))


def first_tags(name: str, number: int, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a run that nothing was logged to."""
    return {MLFLOW_RUN_NAME: name, **tags, ATTEMPT_TAG: str(number)}


def add_missing_parameters(session: Any, run_id: str, parameters: Mapping[str, str]) -> None:
    """Give a run the parameters of its Run that the program did not log itself."""
    if not parameters:
        return
    logged = {key for (key,) in session.query(SqlParam.key).filter_by(run_uuid=run_id)}
    session.add_all(
        SqlParam(run_uuid=run_id, key=key, value=value)
        for key, value in parameters.items()
        if key not in logged
    )


def children(session: Any, run_id: str) -> list[str]:
    """List all descendants of a run; those of a Run's earlier attempts are not its own."""
    found = session.execute(family(run_id, _workspace_of(session, run_id)))
    return [child for (child,) in found if child != run_id]


def below(session: Any, run_id: str) -> list[str]:
    """List the runs right below a run, as its children are told."""
    ids = {"run_id": run_id, "workspace": _workspace_of(session, run_id)}
    return [child for (child,) in session.execute(text(_BELOW), ids)]


def family(run_id: str, workspace: str | None) -> Any:
    """Return a query of the ids of a run and all its descendants."""
    query = text(_FAMILY).bindparams(
        # Of their own names: the query is part of others.
        bindparam("run_id", run_id, unique=True),
        bindparam("workspace", workspace, unique=True),
    )
    return query.columns(run_uuid=String)


# What names a run as its parent, but for those of earlier attempts, and of other namespaces:
# anybody may write any id into the tags of runs of their own. The key is written out, the order of
# joins said, and the id made an expression as the indexed one is, for SQLite to take the index.
_JOINED = f"""
SELECT tags.run_uuid FROM family CROSS JOIN tags
CROSS JOIN runs CROSS JOIN experiments
WHERE tags.key = '{MLFLOW_PARENT_RUN_ID}' AND substr(tags.value, 1, 32) = family.run_uuid || ''
AND tags.value = family.run_uuid AND runs.run_uuid = tags.run_uuid
AND experiments.experiment_id = runs.experiment_id AND experiments.workspace = :workspace
AND NOT EXISTS (
    SELECT 1 FROM tags AS earlier
    WHERE earlier.run_uuid = tags.run_uuid AND earlier.key = '{ATTEMPT_OF_TAG}'
)
"""  # noqa: S608  # of constants
_SELF = "SELECT CAST(:run_id AS VARCHAR(32))"
_BELOW = f"WITH family(run_uuid) AS ({_SELF}) {_JOINED}"  # of constants
# Each once, whatever circle their tags describe.
_FAMILY = f"""
WITH RECURSIVE family(run_uuid) AS ({_SELF} UNION {_JOINED}) SELECT run_uuid FROM family
"""  # noqa: S608  # of constants


def _workspace_of(session: Any, run_id: str) -> str | None:
    """Tell which workspace a run is in."""
    query = session.query(SqlExperiment.workspace).join(SqlRun)
    found: str | None = query.filter(SqlRun.run_uuid == run_id).scalar()
    return found


def _tag(session: Any, run_id: str, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        session.merge(SqlTag(run_uuid=run_id, key=key, value=value))


def _now() -> int:
    return int(time.time() * 1000)
