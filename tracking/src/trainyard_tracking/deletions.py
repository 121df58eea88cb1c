"""Deletes and restores an experiment with all of its runs, in a few statements for any number.

MLflow loads every run of it, and for each looks through all assessments there are.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import SqlAssessments, SqlRun
from mlflow.tracing.constant import AssessmentMetadataKey
from mlflow.utils.time import get_current_time_millis

_AT_ONCE = 1000
"""Ids in one query; a database takes so many and not many times more."""
_NAMED = f'"{AssessmentMetadataKey.SOURCE_RUN_ID}": "'
_RUN = re.compile(re.escape(_NAMED) + '([^"]*)"')


def mark(session: Any, experiment: Any, stage: str) -> None:
    """Write the stage of an experiment and of its runs, and since when they are in it."""
    now = get_current_time_millis()
    experiment.lifecycle_stage, experiment.last_update_time = stage, now
    since = now if stage == LifecycleStage.DELETED else None
    runs = session.query(SqlRun).filter(SqlRun.experiment_id == experiment.experiment_id)
    runs.update({"lifecycle_stage": stage, "deleted_time": since}, synchronize_session=False)


def assessments_of(session: Any, experiment: Any) -> Iterator[Any]:
    """Give filters that together are those assessments which runs of an experiment have made.

    Their run stands in their metadata, which is text: one look at all that name one.
    """
    made: dict[str, list[str]] = {}
    told = SqlAssessments.assessment_metadata
    query = session.query(SqlAssessments.assessment_id, told).filter(told.contains(_NAMED))
    for assessment, metadata in query:
        if found := _RUN.search(metadata):
            made.setdefault(found[1], []).append(assessment)
    here = SqlRun.experiment_id == experiment.experiment_id
    its = [
        assessment
        for ids in chunks(made)
        for (run,) in session.query(SqlRun.run_uuid).filter(SqlRun.run_uuid.in_(ids), here)
        for assessment in made[run]
    ]
    for ids in chunks(its):
        yield SqlAssessments.assessment_id.in_(ids)


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Give ids in some order, as many at a time as one query takes."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
