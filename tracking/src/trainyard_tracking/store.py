"""MLflow's SQL store of runs, where a cluster of Runs asks more of it than a laptop does."""

from typing import Any

from mlflow.entities import ExperimentTag
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import SQLITE
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from trainyard_tracking.answers import telling

_TRIES = 5
_KIND = "mlflow.experimentKind"
"""The tag by which the UI knows what pages an experiment has; without it, it asks."""
_MODEL_TRAINING = "custom_model_development"


def _without_regexp(connection: Any, record: Any) -> None:
    """Take away MLflow's REGEXP, which holds the interpreter for as long as a caller likes."""

    def regexp(pattern: str, text: str) -> bool:
        raise ValueError("RLIKE is off on this service")

    connection.create_function("regexp", 2, regexp)


class RunStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]  # MLflow is untyped
    """The stock store; experiments have a kind, and a race between two Runs costs neither."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        opened: Any = self.ManagedSessionMaker
        self.ManagedSessionMaker: Any = telling(opened)
        if self.db_type == SQLITE:
            event.listen(self.engine, "connect", _without_regexp)
            # Those that are open know MLflow's own.
            self.engine.dispose()

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
