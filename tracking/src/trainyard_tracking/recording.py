"""Makes and ends MLflow runs for Runs of the cluster: the id is given, repeating is harmless.

MLflow's own API makes up the run id, so this writes the row with MLflow's own models, inside
the workspace of the namespace. Everything else goes through MLflow's store.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow.entities import LifecycleStage, RunStatus, SourceType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlRun,
    SqlTag,
)
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy.exc import IntegrityError

from trainyard_tracking import attempts, claims
from trainyard_tracking.attempts import Attempt
from trainyard_tracking.claims import workspace
from trainyard_tracking.errors import Conflict, NotFound
from trainyard_tracking.summary import outcome

_KNOWN_SECONDS = 5.0
_MOST_PLACES = 10_000
_DEFAULT = "Default"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a Run wants recorded, and for which attempt; times are in milliseconds since 1970."""

    run_id: str
    namespace: str
    name: str
    experiment: str
    tags: Mapping[str, str]
    start_time: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    attempt: Attempt = field(default_factory=Attempt)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a run is recorded; `is_clean` if this call made it so."""

    run_id: str
    experiment_id: str
    artifact_uri: str
    is_clean: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """An experiment that runs are recorded in; `root` is where their artifacts are."""

    experiment_id: str
    root: str
    known_until: float


_places: dict[tuple[str, str], _Place] = {}


def _place(namespace: str, name: str) -> _Place:
    """Give an experiment; many Runs of one are recorded in the same moment."""
    known = _places.get((namespace, name))
    if known is not None and known.known_until > time.monotonic():
        return known
    found = _experiment(namespace, name)
    until = time.monotonic() + _KNOWN_SECONDS
    place = _Place(str(found.experiment_id), found.artifact_location, until)
    if len(_places) >= _MOST_PLACES:
        _places.clear()
    _places[namespace, name] = place
    return place


def default_experiment(namespace: str) -> str:
    """Give the id of a namespace's experiment Default, making it if there never was one."""
    known = _places.get((namespace, _DEFAULT))
    if known is not None and known.known_until > time.monotonic():
        return known.experiment_id
    with workspace(namespace) as store:
        found = store.get_experiment_by_name(_DEFAULT)
    if found is None or found.lifecycle_stage != LifecycleStage.DELETED:
        return _place(namespace, _DEFAULT).experiment_id
    # It stays deleted; MLflow says so.
    return str(found.experiment_id)


def forget_places() -> None:
    """Ask the database again: experiments are another namespace's."""
    _places.clear()


def _experiment(namespace: str, name: str) -> Any:
    """Give an experiment, making it if it is missing and restoring it if deleted."""
    with workspace(namespace) as store:
        found = store.get_experiment_by_name(name)
        if found is None:
            try:
                return store.get_experiment(store.create_experiment(name))
            except MlflowException:
                # Somebody else made it in the same moment.
                found = store.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == LifecycleStage.DELETED:
            store.restore_experiment(found.experiment_id)
        return found


def record(request: RunRequest) -> Recorded:
    """Make the run with the given id; if it is there, say where, clean for the attempt asked for.

    Raises:
        Conflict: the id is taken by a run of another namespace.
    """
    place = _place(request.namespace, request.experiment)
    folder = append_to_uri_path(place.root, request.run_id)
    uri = attempts.artifacts_of(folder, request.attempt.number)
    with workspace(request.namespace) as store:
        try:
            with store.ManagedSessionMaker(read_only=False) as session:
                session.add(_new_run(request, place.experiment_id, uri))
        except MlflowException as exc:
            if not isinstance(exc.__cause__, IntegrityError):
                raise
            return _recorded_before(request, exc)
    return Recorded(request.run_id, place.experiment_id, uri, is_clean=True)


def _recorded_before(request: RunRequest, exc: Exception) -> Recorded:
    found = find(request.run_id, request.namespace)
    if found is None:
        # Not the run's id, then: the experiment was deleted for good in this moment.
        _places.pop((request.namespace, request.experiment), None)
        raise Conflict(f"Experiment {request.experiment} has just been deleted") from exc
    if request.attempt.number == 1:
        return found
    is_clean = _begin(request)
    return replace(find(request.run_id, request.namespace) or found, is_clean=is_clean)


def _begin(request: RunRequest) -> bool:
    with (
        workspace(request.namespace) as store,
        store.ManagedSessionMaker(read_only=False) as session,
    ):
        return attempts.begin(
            session,
            request.run_id,
            request.attempt,
            name=request.name,
            tags=request.tags,
            parameters=request.parameters,
        )


def _new_run(request: RunRequest, experiment: str, uri: str) -> Any:
    run = SqlRun(
        name=request.name,
        artifact_uri=uri,
        run_uuid=request.run_id,
        experiment_id=experiment,
        source_type=SourceType.to_string(SourceType.UNKNOWN),
        source_name="",
        entry_point_name="",
        user_id="",
        status=RunStatus.to_string(RunStatus.RUNNING),
        start_time=request.start_time,
        source_version="",
        lifecycle_stage=LifecycleStage.ACTIVE,
    )
    tags = attempts.first_tags(request.name, request.attempt.number, request.tags)
    run.tags = [SqlTag(key=key, value=value) for key, value in tags.items()]
    return run


def find(run_id: str, namespace: str) -> Recorded | None:
    """Say where a run is recorded; nothing if it is not.

    Raises:
        Conflict: it is a run of another namespace.
    """
    with workspace(namespace) as store, store.ManagedSessionMaker(read_only=True) as session:
        row = (
            session.query(SqlRun.experiment_id, SqlRun.artifact_uri, SqlExperiment.workspace)
            .join(SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)
            .filter(SqlRun.run_uuid == run_id)
            .first()
        )
    if row is None:
        return None
    if row.workspace != namespace:
        raise Conflict(f"Run id {run_id} is a run of another namespace")
    return Recorded(run_id, str(row.experiment_id), row.artifact_uri)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a Run ended; `status` is MLflow's, `end_time` in milliseconds since 1970."""

    status: str
    end_time: int
    parameters: Mapping[str, str]


def finish(run_id: str, namespace: str, ending: Ending) -> dict[str, Any]:
    """End the run and its running children; give what the Run's status shows.

    Raises:
        NotFound: no such run in the namespace.
    """
    if find(run_id, namespace) is None:
        raise NotFound(f"Run {run_id} is not recorded in namespace {namespace}")
    with workspace(namespace) as store, store.ManagedSessionMaker(read_only=False) as session:
        claims.settle(session, run_id)
        _end(session, run_id, ending)
        attempts.add_missing_parameters(session, run_id, ending.parameters)
    return outcome(run_id, namespace)


def _end(session: Any, run_id: str, ending: Ending) -> None:
    running = RunStatus.to_string(RunStatus.RUNNING)
    children = attempts.children(session, run_id)
    own = session.query(SqlRun).filter(SqlRun.run_uuid == run_id)
    own.update({"status": ending.status, "end_time": ending.end_time}, synchronize_session=False)
    session.query(SqlRun).filter(SqlRun.run_uuid.in_(children), SqlRun.status == running).update(
        {"status": ending.status, "end_time": ending.end_time}, synchronize_session=False
    )
