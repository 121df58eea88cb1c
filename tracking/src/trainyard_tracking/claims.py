"""Which program of a Run gets the Run's own MLflow run: the first that starts one.

MLflow's variable for it, MLFLOW_RUN_ID, would make each of several processes resume the same run
and die of "Changing param values". So the pod does not have it: a program that starts a run asks
for a new one, and the first to ask is given the Run's own. The mark is a tag, whose key is unique
in a run: of two that ask at once the database refuses one.

The answer to the first wish may get lost. MLflow's client asks again by itself, and is given a run
below the Run's own, which stays empty: workers may ask with the same body in the same millisecond,
so a repeat is not known when it comes. At the end it is: nothing was logged to the run that was
taken, and exactly one run is below it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mlflow.entities import LifecycleStage, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _get_tracking_store
from mlflow.store.tracking.dbmodels.models import (
    SqlLatestMetric,
    SqlLoggedModel,
    SqlParam,
    SqlRun,
    SqlTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NAME
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.workspace_context import ServerWorkspaceContext
from sqlalchemy import and_
from sqlalchemy.exc import IntegrityError
from trainyard_api.contract import GROUP

from trainyard_tracking import attempts
from trainyard_tracking.identity import RunIdentity

CLAIMED = f"{GROUP}/claimed"
"""Tag of a Run's own MLflow run that a program has started; no program may write it."""
TAKEN = "true"
"""Its value, until the end shows that the record is in another run: `settle`."""

Tags = Sequence[dict[str, Any]]
Store = Any
"""MLflow's SQL tracking store, which is untyped."""


@contextmanager
def workspace(namespace: str) -> Iterator[Store]:
    """Give MLflow's store as it is inside the workspace of a namespace."""
    with ServerWorkspaceContext(namespace):
        yield _get_tracking_store()


def claim(who: RunIdentity, tags: Tags, name: str) -> dict[str, Any] | None:
    """Give the Run's own run, with the tags and the name, to the first that asks for a run.

    Returns:
        The run as MLflow's API shows it; nothing if it is taken, deleted or gone.
    """
    if not mark(who, tags, name):
        return None
    with workspace(who.namespace) as store:
        found = store.get_run(who.run_id)
    shown: dict[str, Any] = json.loads(message_to_json(found.to_proto()))
    return shown


def mark(who: RunIdentity, tags: Tags = (), name: str = "") -> bool:
    """Note that a program has started the Run's own run; tell whether it is the first."""
    texts = {str(tag.get("key")): str(tag.get("value")) for tag in tags}
    name = name or texts.get(MLFLOW_RUN_NAME, "")
    if name:
        texts[MLFLOW_RUN_NAME] = name
    with workspace(who.namespace) as store:
        if not _is_free(store, who.run_id):
            return False
        try:
            with store.ManagedSessionMaker(read_only=False) as session:
                _write(session, who.run_id, texts)
        except MlflowException as exc:
            if not isinstance(exc.__cause__, IntegrityError):
                raise
            return False
    return True


def _is_free(store: Any, run_id: str) -> bool:
    mine = and_(SqlTag.run_uuid == SqlRun.run_uuid, SqlTag.key == CLAIMED)
    with store.ManagedSessionMaker(read_only=True) as session:
        row = (
            session.query(SqlRun.lifecycle_stage, SqlTag.value)
            .outerjoin(SqlTag, mine)
            .filter(SqlRun.run_uuid == run_id)
            .first()
        )
    return row is not None and row.lifecycle_stage == LifecycleStage.ACTIVE and row.value is None


def _write(session: Any, run_id: str, tags: dict[str, str]) -> None:
    session.add(SqlTag(run_uuid=run_id, key=CLAIMED, value=TAKEN))
    # Decided here, before anything else is written.
    session.flush()
    changed = {"status": RunStatus.to_string(RunStatus.RUNNING)}
    if MLFLOW_RUN_NAME in tags:
        changed["name"] = tags[MLFLOW_RUN_NAME]
    session.query(SqlRun).filter_by(run_uuid=run_id).update(changed, synchronize_session=False)
    for key, value in tags.items():
        session.merge(SqlTag(run_uuid=run_id, key=key, value=value))


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
