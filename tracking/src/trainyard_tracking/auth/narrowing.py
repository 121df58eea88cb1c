"""Narrows MLflow's searches of runs and logged models to those of one Run, in the query itself.

A filter that lists them would change with each child that starts, which ends a caller's pages, and
would be longer than MLflow's parser takes.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun
from sqlalchemy import event
from sqlalchemy.orm import Session, with_loader_criteria

from trainyard_tracking.attempts import family


@dataclass(frozen=True, slots=True)
class Family:
    """A run of a namespace and all below it."""

    run_id: str
    namespace: str


NARROWED: ContextVar[Family | None] = ContextVar("trainyard_narrowed", default=None)
"""Whose runs a search of this request may find; None for everybody's."""


@event.listens_for(Session, "do_orm_execute")
def _narrow(state: Any) -> None:
    wanted = NARROWED.get()
    if wanted is None or not state.is_select:
        return
    ids = family(wanted.run_id, wanted.namespace)
    state.statement = state.statement.options(
        with_loader_criteria(SqlRun, SqlRun.run_uuid.in_(ids), include_aliases=True),
        with_loader_criteria(
            SqlLoggedModel, SqlLoggedModel.source_run_id.in_(ids), include_aliases=True
        ),
    )
