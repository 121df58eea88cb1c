"""MLflow's SQL store of runs, where a cluster of Runs asks more of it than a laptop does."""

from typing import Any

from mlflow.entities import ExperimentTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy.exc import IntegrityError

_TRIES = 5
_KIND = "mlflow.experimentKind"
"""The tag by which the UI knows what pages an experiment has; without it, it asks."""
_MODEL_TRAINING = "custom_model_development"


class RunStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]  # MLflow is untyped
    """The stock store; experiments have a kind, and a race between two Runs costs neither."""

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Any = None
    ) -> Any:
        """Make an experiment, for training models unless its maker says what for."""
        given = list(tags or ())
        if all(tag.key != _KIND for tag in given):
            given.append(ExperimentTag(_KIND, _MODEL_TRAINING))
        return super().create_experiment(name, artifact_location, given)

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Log data sets and models as inputs of a run.

        Two Runs that are the first to log the same data set both find it missing and both write
        it; the database takes one. MLflow answers the other with a 400, and autologging then
        drops the batch with its metrics. The second try finds what the other Run wrote.
        """
        for left in reversed(range(_TRIES)):
            try:
                super().log_inputs(run_id, datasets, models)
                return
            except MlflowException as exc:
                if not left or not isinstance(exc.__cause__, IntegrityError):
                    raise
