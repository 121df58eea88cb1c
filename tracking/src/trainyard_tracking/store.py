"""MLflow's SQL store of runs, where Runs that work at once ask more of it than a laptop does."""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy.exc import IntegrityError

_TRIES = 5


class RunStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]  # MLflow is untyped
    """The stock store, but that a race between two Runs costs neither of them anything."""

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
