"""What the record of a Run shows: metrics, the one of them that a table has room for, models."""

import json
from collections.abc import Sequence
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLatestMetric,
    SqlLoggedModel,
    SqlMetric,
    SqlRun,
    SqlTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS
from sqlalchemy import select

from trainyard_tracking import attempts, claims
from trainyard_tracking.claims import workspace
from trainyard_tracking.errors import NotFound

_MOST_METRICS = 1000
_CHOSEN = ("val_", "test_", "eval_")
_AUTOLOGGED = ("training_", "system/")


def outcome(run_id: str, namespace: str) -> dict[str, Any]:
    """Give metrics, headline and models of a run, or of the one that holds its record."""
    with workspace(namespace) as store, store.ManagedSessionMaker(read_only=True) as session:
        row = session.query(SqlRun.experiment_id).filter_by(run_uuid=run_id).one()
        holder = claims.holder(session, run_id)
        metrics = _metrics(session, holder)
        first = _first_logged(session, holder)
        models = _models(session, [holder, *attempts.children(session, run_id)], namespace)
        models += _older_models(session, holder)
    return {
        "metrics": metrics,
        "metric": headline(first),
        "models": models,
        "experimentID": str(row.experiment_id),
    }


def summary(run_id: str, namespace: str) -> dict[str, Any]:
    """Give what gates and a reader need to know of any run of the namespace.

    Raises:
        NotFound: no such run in the namespace.
        MlflowException: the database does not answer.
    """
    with workspace(namespace) as store:
        try:
            run = store.get_run(run_id)
        except MlflowException as exc:
            if exc.error_code != NotFound.code:
                raise
            raise NotFound(f"Run {run_id} is not recorded in namespace {namespace}") from exc
        experiment = store.get_experiment(run.info.experiment_id)
    found = outcome(run_id, namespace)
    return {
        **found,
        "params": dict(run.data.params),
        "status": run.info.status,
        "startTime": run.info.start_time,
        "experiment": experiment.name,
    }


def _metrics(session: Any, run_id: str) -> dict[str, str]:
    query = session.query(SqlLatestMetric).filter_by(run_uuid=run_id)
    rows = query.order_by(SqlLatestMetric.key).limit(_MOST_METRICS)
    return {row.key: "NaN" if row.is_nan else repr(row.value) for row in rows}


def _first_logged(session: Any, run_id: str) -> list[str]:
    """List metrics by when their first step was logged; a look at one point of each."""
    begun = (
        select(SqlMetric.timestamp)
        .where(SqlMetric.run_uuid == run_id, SqlMetric.key == SqlLatestMetric.key)
        .order_by(SqlMetric.step)
        .limit(1)
        .correlate(SqlLatestMetric)
        .scalar_subquery()
    )
    query = session.query(SqlLatestMetric.key).filter(SqlLatestMetric.run_uuid == run_id)
    return [key for (key,) in query.order_by(begun, SqlLatestMetric.key).limit(_MOST_METRICS)]


def _models(session: Any, run_ids: list[str], namespace: str) -> list[dict[str, Any]]:
    query = (
        session.query(SqlLoggedModel)
        .join(SqlExperiment, SqlExperiment.experiment_id == SqlLoggedModel.experiment_id)
        # Anybody may say of a model of theirs that any run logged it.
        .filter(SqlLoggedModel.source_run_id.in_(run_ids), SqlExperiment.workspace == namespace)
        .filter(SqlLoggedModel.lifecycle_stage == LifecycleStage.ACTIVE)
        .order_by(SqlLoggedModel.creation_timestamp_ms)
    )
    # The Run's own models come before those of its children, each in the order of logging.
    found = sorted(query, key=lambda model: model.source_run_id != run_ids[0])
    return [
        {
            "modelID": model.model_id,
            "name": model.name,
            "artifactPath": model.name,
            "uri": f"models:/{model.model_id}",
            "own": model.source_run_id == run_ids[0],
        }
        for model in found
    ]


def _older_models(session: Any, run_id: str) -> list[dict[str, Any]]:
    """List the models that a client of MLflow 2 logged: it notes them in a tag."""
    tag = session.query(SqlTag.value).filter_by(run_uuid=run_id, key=MLFLOW_LOGGED_MODELS).first()
    try:
        noted = json.loads(tag.value) if tag else []
        paths = [str(entry["artifact_path"]) for entry in noted if not entry.get("model_id")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [
        {
            "modelID": None,
            "name": path,
            "artifactPath": path,
            "uri": f"runs:/{run_id}/{path}",
            "own": True,
        }
        for path in dict.fromkeys(paths)
    ]


def headline(names: Sequence[str]) -> str | None:
    """Pick a metric out of `names`, which are in the order of first logging.

    One that says it was measured on held-out data, else one that code logged by itself, else
    the first that is there.
    """
    own = [name for name in names if not name.startswith(_AUTOLOGGED)]
    held_out = [name for name in own if name.startswith(_CHOSEN)]
    rest = [name for name in names if not name.startswith("system/")]
    return next(iter([*held_out, *own, *rest]), None)
