"""Where a program's record is if the answer to its first wish for a run got lost.

MLflow's client asks again by itself, and is given a run below the Run's own, which stays empty:
workers may ask with the same body in the same millisecond, so a repeat is not known when it comes.
At the end it is: nothing was logged to the run that was taken, and exactly one run is below it.
"""

from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import (
    SqlLatestMetric,
    SqlLoggedModel,
    SqlParam,
    SqlRun,
    SqlTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS

from trainyard_tracking import attempts
from trainyard_tracking.claims import CLAIMED, TAKEN


def settle(session: Any, run_id: str) -> None:
    """Note which run holds a Run's record, before anything else is written at its end."""
    tag = session.query(SqlTag).filter_by(run_uuid=run_id, key=CLAIMED).first()
    if tag is None or tag.value != TAKEN or _was_logged_to(session, run_id):
        return
    below = attempts.below(session, run_id)
    if len(below) == 1 and _is_there(session, below[0]):
        tag.value = below[0]


def holder(session: Any, run_id: str) -> str:
    """Tell which run holds a Run's record: almost always its own.

    The tag is believed of a run right below, in the same namespace: a database may hold one that
    somebody wrote when people still could.
    """
    tag = session.query(SqlTag.value).filter_by(run_uuid=run_id, key=CLAIMED).first()
    if tag is None or tag.value == TAKEN or tag.value not in attempts.below(session, run_id):
        return run_id
    return str(tag.value)


def _was_logged_to(session: Any, run_id: str) -> bool:
    of_run = (
        session.query(SqlParam.key).filter_by(run_uuid=run_id),
        session.query(SqlLatestMetric.key).filter_by(run_uuid=run_id),
        session.query(SqlLoggedModel.model_id).filter_by(source_run_id=run_id),
        session.query(SqlTag.key).filter_by(run_uuid=run_id, key=MLFLOW_LOGGED_MODELS),
    )
    return any(query.first() is not None for query in of_run)


def _is_there(session: Any, run_id: str) -> bool:
    query = session.query(SqlRun.lifecycle_stage).filter_by(run_uuid=run_id)
    return bool(query.scalar() == LifecycleStage.ACTIVE)
