"""Whose a run, logged model or trace is, by what the database says.

A run is a Run's own if it is the Run's or descends from it by MLflow's parent tag; a logged model
or trace is its source run's. Only a yes is remembered: a no may become a yes. It is remembered with
the kind: callers name their traces, and one may have the name of another's run or model.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlflow.entities.entity_type import EntityAssociationType
from mlflow.server.handlers import _get_tracking_store
from mlflow.store.tracking.dbmodels.models import (
    SqlEntityAssociation,
    SqlExperiment,
    SqlLoggedModel,
    SqlTag,
    SqlTraceInfo,
    SqlTraceMetadata,
)
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.workspace_context import ServerWorkspaceContext
from sqlalchemy import and_
from trainyard_api.attempts import ATTEMPT_OF_TAG

from trainyard_tracking.identity import RunIdentity

TRACE_RUN_KEY = "mlflow.sourceRun"
_RUN, _EARLIER, _MODEL, _TRACE = "run", "earlier run", "logged model", "trace"
_Key = tuple[str, str, str]
"""Of whom, a Run or a namespace; what kind of thing; which one."""
_DEEPEST = 20
_MOST = 100_000
_EXPERIMENT = re.compile("0|[1-9][0-9]{0,9}")
_MOST_EXPERIMENTS = 2**31 - 1
"""What the database's column holds."""


class Registered(Protocol):
    """What the rules ask the registry."""

    def is_registered_model_id(self, namespace: str, model_id: str) -> bool: ...

    def is_registered_path(self, namespace: str, path: str) -> bool: ...

    def is_stage(self, namespace: str, model: str, alias: str) -> bool: ...

    def run_of(self, namespace: str, model: str, version: str) -> str | None: ...


@dataclass(slots=True)
class Ownership:
    """Answers for run tokens; asks the database, so call it from a thread."""

    registered: Registered
    _known: set[_Key] = field(default_factory=set)

    def has_experiment(self, namespace: str, experiment: str) -> bool:
        """Tell whether an experiment, deleted or not, is one of the namespace."""
        key = (namespace, "experiment", experiment)
        if key not in self._known and not _is_in(namespace, experiment):
            return False
        self._note(key)
        return True

    def forget(self) -> None:
        """Ask the database again: experiments are another namespace's."""
        self._known.clear()

    def has_run(self, identity: RunIdentity, run_id: str) -> bool:
        if run_id == identity.run_id:
            return True
        return self._remember(identity, _RUN, run_id, lambda: self._descends(identity, run_id))

    def is_earlier(self, identity: RunIdentity, run_id: str) -> bool:
        """Tell whether a run is the record of an earlier attempt, or below one."""
        if run_id == identity.run_id:
            return False
        return self._remember(identity, _EARLIER, run_id, lambda: _is_earlier(run_id))

    def has_model(self, identity: RunIdentity, model_id: str) -> bool:
        return self._remember(identity, _MODEL, model_id, lambda: self._logged(identity, model_id))

    def has_trace(self, identity: RunIdentity, trace_id: str) -> bool:
        return self._remember(identity, _TRACE, trace_id, lambda: self._traced(identity, trace_id))

    def trace_exists(self, trace_id: str) -> bool:
        with _session() as session:
            query = session.query(SqlTraceInfo.request_id).filter_by(request_id=trace_id)
            return query.first() is not None

    def foreign_trace(self, identity: RunIdentity, trace_ids: set[str]) -> str | None:
        """Give one of these traces that exists and is not the Run's; in one look at all of them."""
        unknown = sorted(
            one for one in trace_ids if (identity.run_id, _TRACE, one) not in self._known
        )
        owners = _owners(unknown)
        own = self._own_of(identity, set().union(*owners.values()))
        return next((one for one in unknown if one in owners and not owners[one] & own), None)

    def _own_of(self, identity: RunIdentity, run_ids: set[str]) -> set[str]:
        """Give those of these runs that are the Run's, or descend from it."""
        own = {one for one in run_ids if one == identity.run_id}
        own |= {one for one in run_ids if (identity.run_id, _RUN, one) in self._known}
        above = {one: one for one in run_ids - own}
        for _ in range(_DEEPEST):
            if not above:
                break
            parents = _parents(set(above.values()))
            above = {one: parents[at] for one, at in above.items() if at in parents}
            found = {one for one, at in above.items() if at == identity.run_id}
            own |= found
            above = {one: at for one, at in above.items() if one not in found}
        for one in own:
            self._note((identity.run_id, _RUN, one))
        return own

    def claim_trace(self, identity: RunIdentity, trace_id: str) -> None:
        """Note that a new trace is the Run's: its spans may come before its description."""
        self._note((identity.run_id, _TRACE, trace_id))

    def _remember(
        self, identity: RunIdentity, kind: str, thing: str, ask: Callable[[], bool]
    ) -> bool:
        key = (identity.run_id, kind, thing)
        if key in self._known:
            return True
        if not ask():
            return False
        self._note(key)
        return True

    def _note(self, key: _Key) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known.add(key)

    def _descends(self, identity: RunIdentity, run_id: str) -> bool:
        current: str | None = run_id
        with _session() as session:
            for _ in range(_DEEPEST):
                row = (
                    session.query(SqlTag.value)
                    .filter_by(run_uuid=current, key=MLFLOW_PARENT_RUN_ID)
                    .first()
                )
                current = row.value if row else None
                if current is None or current == identity.run_id:
                    break
        return current == identity.run_id

    def _logged(self, identity: RunIdentity, model_id: str) -> bool:
        with _session() as session:
            row = session.query(SqlLoggedModel.source_run_id).filter_by(model_id=model_id).first()
        return bool(row and row.source_run_id) and self.has_run(identity, row.source_run_id)

    def _traced(self, identity: RunIdentity, trace_id: str) -> bool:
        with _session() as session:
            row = (
                session.query(SqlTraceMetadata.value)
                .filter_by(request_id=trace_id, key=TRACE_RUN_KEY)
                .first()
            )
            linked = session.query(SqlEntityAssociation.destination_id).filter_by(
                source_type=EntityAssociationType.TRACE,
                source_id=trace_id,
                destination_type=EntityAssociationType.RUN,
            )
            run_ids = [row.value] if row else [run_id for (run_id,) in linked]
        return any(self.has_run(identity, run_id) for run_id in run_ids)


def _owners(trace_ids: list[str]) -> dict[str, set[str]]:
    """Give those traces that exist, each with the runs that it is of."""
    if not trace_ids:
        return {}
    linked = and_(
        SqlEntityAssociation.source_id == SqlTraceInfo.request_id,
        SqlEntityAssociation.source_type == EntityAssociationType.TRACE,
        SqlEntityAssociation.destination_type == EntityAssociationType.RUN,
    )
    said = and_(
        SqlTraceMetadata.request_id == SqlTraceInfo.request_id,
        SqlTraceMetadata.key == TRACE_RUN_KEY,
    )
    owners: dict[str, set[str]] = {}
    with _session() as session:
        rows = (
            session.query(
                SqlTraceInfo.request_id, SqlTraceMetadata.value, SqlEntityAssociation.destination_id
            )
            .outerjoin(SqlTraceMetadata, said)
            .outerjoin(SqlEntityAssociation, linked)
            .filter(SqlTraceInfo.request_id.in_(trace_ids))
        )
        for trace_id, told, run_id in rows:
            # What the trace says of itself comes before what it is linked to.
            owners.setdefault(trace_id, set()).update({told or run_id} - {None})
    return owners


def _parents(run_ids: set[str]) -> dict[str, str]:
    with _session() as session:
        rows = session.query(SqlTag.run_uuid, SqlTag.value).filter(
            SqlTag.run_uuid.in_(sorted(run_ids)), SqlTag.key == MLFLOW_PARENT_RUN_ID
        )
        return dict(list(rows))


@contextmanager
def _session() -> Iterator[Any]:
    with _get_tracking_store().ManagedSessionMaker(read_only=True) as session:
        yield session


def _is_in(namespace: str, experiment: str) -> bool:
    number = int(experiment) if _EXPERIMENT.fullmatch(experiment) else _MOST_EXPERIMENTS + 1
    if number > _MOST_EXPERIMENTS:
        return False
    with _session() as session:
        query = session.query(SqlExperiment.workspace).filter_by(experiment_id=number)
        return bool(query.scalar() == namespace)


def _is_earlier(run_id: str) -> bool:
    with _session() as session:
        query = session.query(SqlTag.key).filter_by(run_uuid=run_id, key=ATTEMPT_OF_TAG)
        return query.first() is not None


def experiment_of(identity: RunIdentity) -> dict[str, Any]:
    """Give the Run's own experiment as MLflow's API shows it."""
    with ServerWorkspaceContext(identity.namespace):
        found = _get_tracking_store().get_experiment(identity.experiment_id)
    shown: dict[str, Any] = json.loads(message_to_json(found.to_proto()))
    return shown
