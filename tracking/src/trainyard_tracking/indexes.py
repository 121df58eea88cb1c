"""Our indexes of MLflow's tables, for what is asked of one experiment or one run among a million.

MLflow finds the runs of an experiment by a look at all there are, and the models of a run too.
"""

from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy import text

# An id has 32 letters, and a tag may have more than an index of PostgreSQL takes.
_INDEXES = (
    f"""index_trainyard_tags_parent ON tags (substr(value, 1, 32))
    WHERE key = '{MLFLOW_PARENT_RUN_ID}'""",
    "index_trainyard_runs_experiment ON runs (experiment_id, lifecycle_stage)",
    "index_trainyard_models_run ON logged_models (source_run_id)",
    "index_trainyard_models_experiment ON logged_models (experiment_id)",
    "index_trainyard_inputs_source ON inputs (source_id)",
    "index_trainyard_model_metrics_run ON logged_model_metrics (run_id)",
)


def make(engine: Any) -> None:
    """See to it that all of them are there; the first start with a full table takes seconds."""
    with engine.begin() as connection:
        for index in _INDEXES:
            connection.execute(text(f"CREATE INDEX IF NOT EXISTS {index}"))
