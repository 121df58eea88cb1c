"""Deletes and restores an experiment with all of its runs, in a few statements for any number.

MLflow loads every run of it, and for each looks through all assessments there are, of any
namespace. Here the database looks through those of traces of the experiment's own, and gives none.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.store.db.db_types import SQLITE
from mlflow.store.tracking.dbmodels.models import (
    SqlAssessments,
    SqlExperiment,
    SqlRun,
    SqlTraceInfo,
)
from mlflow.tracing.constant import AssessmentMetadataKey
from mlflow.utils.time import get_current_time_millis
from sqlalchemy import and_, func, select

_AT_ONCE = 1000
"""Ids in one query; a database takes so many and not many times more."""
_DROPPED_AT_ONCE = 20_000
"""Assessments, a second or so: each stands in eight indexes."""
_RUN_ID = 32
"""Letters of a run's id."""
_NAMED = f'"{AssessmentMetadataKey.SOURCE_RUN_ID}": "'


def mark(session: Any, experiment: Any, stage: str) -> None:
    """Write the stage of an experiment and of its runs, and since when they are in it."""
    now = get_current_time_millis()
    experiment.lifecycle_stage, experiment.last_update_time = stage, now
    since = now if stage == LifecycleStage.DELETED else None
    runs = session.query(SqlRun).filter(SqlRun.experiment_id == experiment.experiment_id)
    runs.update({"lifecycle_stage": stage, "deleted_time": since}, synchronize_session=False)


def assessments_of(session: Any, experiment: int, run_id: str | None = None) -> Any:
    """Give the filter of those assessments which runs of an experiment, or one run, have made.

    Which run that is stands in their metadata, which is text. A run of another namespace may be
    written there as well, but a trace is of one alone.
    """
    its = select(SqlRun.run_uuid.concat('"')).where(SqlRun.experiment_id == experiment)
    workspace = select(SqlExperiment.workspace).where(SqlExperiment.experiment_id == experiment)
    traces = (
        select(SqlTraceInfo.request_id)
        .join(SqlExperiment, SqlExperiment.experiment_id == SqlTraceInfo.experiment_id)
        .where(SqlExperiment.workspace == workspace.correlate(None).scalar_subquery())
    )
    told = SqlAssessments.assessment_metadata
    position = func.instr if session.get_bind().dialect.name == SQLITE else func.strpos
    start = position(told, _NAMED)
    made_by = func.substr(told, start + len(_NAMED), _RUN_ID + 1)
    by = made_by == f'{run_id}"' if run_id else made_by.in_(its)
    return and_(SqlAssessments.trace_id.in_(traces), start > 0, by)


def drop(session: Any, assessments: Any) -> None:
    """Delete the assessments of a filter, so many in a query that each ends in time."""
    some = select(SqlAssessments.assessment_id).where(assessments).limit(_DROPPED_AT_ONCE)
    query = session.query(SqlAssessments)
    rows = query.filter(SqlAssessments.assessment_id.in_(some.correlate(None)))
    while rows.delete(synchronize_session=False) >= _DROPPED_AT_ONCE:
        pass


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Give ids in some order, as many at a time as one query takes."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
