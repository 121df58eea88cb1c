"""MLflow's SQL store of runs, where a cluster of Runs asks more of it than a laptop does.

What a caller names beside the run, MLflow writes down as it is: a model of another namespace, or
a tag that this service believes. Here every way in passes, people's and Runs', so it ends here.
"""

import re
from collections.abc import Iterable
from typing import Any

from mlflow.entities import ExperimentTag, LifecycleStage, ViewType
from mlflow.exceptions import (
    MlflowException,
    MlflowTraceDataException,
    MlflowTracingException,
)
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.db.db_types import SQLITE
from mlflow.store.tracking import (
    MAX_TRACE_LINKS_PER_REQUEST,
    SEARCH_TRACES_DEFAULT_MAX_RESULTS,
)
from mlflow.store.tracking.dbmodels.models import SqlAssessments, SqlLoggedModel, SqlTraceInfo
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.tracing.constant import SpanAttributeKey
from mlflow.utils.time import get_current_time_millis
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from trainyard_tracking import deletions, rows
from trainyard_tracking.answers import telling
from trainyard_tracking.deadlines import bound
from trainyard_tracking.lanes import in_a_thread
from trainyard_tracking.reserved import PLACES, check_key

_TRIES = 5
_NO_FOLDER = re.compile(r"[/?#%\\\x00-\x1f]|^\.*$")
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
        bound(self.engine)
        rows.bound(self.engine)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Any = None
    ) -> Any:
        """Make an experiment, for training models unless its maker says what for."""
        given = list(tags or ())
        if all(tag.key != _KIND for tag in given):
            given.append(ExperimentTag(_KIND, _MODEL_TRAINING))
        return super().create_experiment(name, artifact_location, given)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and its runs, with the assessments that these have made."""
        with self.ManagedSessionMaker(read_only=False) as session:
            experiment = self._get_experiment(session, experiment_id, ViewType.ACTIVE_ONLY)
            self._drop(session, deletions.assessments_of(session, experiment.experiment_id))
            deletions.mark(session, experiment, LifecycleStage.DELETED)

    def restore_experiment(self, experiment_id: str) -> None:
        """Restore an experiment and its runs."""
        with self.ManagedSessionMaker(read_only=False) as session:
            experiment = self._get_experiment(session, experiment_id, ViewType.DELETED_ONLY)
            deletions.mark(session, experiment, LifecycleStage.ACTIVE)

    def _mark_run_deleted(self, session: Any, run: Any) -> None:
        self._drop(session, deletions.assessments_of(session, run.experiment_id, run.run_uuid))
        run.lifecycle_stage = LifecycleStage.DELETED
        run.deleted_time = get_current_time_millis()

    def _drop(self, session: Any, assessments: Any) -> None:
        self._enqueue_assessment_rebuilds_for_filter(session, assessments)
        deletions.drop(session, assessments)

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: Any, run_name: str
    ) -> Any:
        """Make a run; Forbidden if a tag is the platform's."""
        _check_tags(tags)
        return super().create_run(experiment_id, user_id, start_time, tags, run_name)

    def set_tag(self, run_id: str, tag: Any) -> None:
        """Tag a run; Forbidden if the tag is the platform's."""
        _check_tags([tag])
        super().set_tag(run_id, tag)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag from a run; Forbidden if it is the platform's."""
        check_key(key)
        super().delete_tag(run_id, key)

    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        """Log to a run; Forbidden if a tag is the platform's, 404 if a model is not here."""
        _check_tags(tags)
        self._require_models(metrics)
        super().log_batch(run_id, metrics, params, tags)

    def log_metric(self, run_id: str, metric: Any) -> None:
        """Log one metric; 404 if it is of a model that is not here."""
        self._require_models([metric])
        super().log_metric(run_id, metric)

    def log_outputs(self, run_id: str, models: Any) -> None:
        """Note the models that a run made; 404 if one is not here."""
        self._require_models(models)
        super().log_outputs(run_id, models)

    def link_traces_to_run(self, trace_ids: list[str], run_id: str) -> None:
        """Link traces to a run; 404 if one is not here."""
        if len(trace_ids) <= MAX_TRACE_LINKS_PER_REQUEST:
            self._require("Trace", SqlTraceInfo, SqlTraceInfo.request_id, trace_ids)
        super().link_traces_to_run(trace_ids, run_id)

    def start_trace(self, trace_info: Any) -> Any:
        """Note a trace; 400 if an id that its caller makes names no folder, or is another's."""
        if _NO_FOLDER.search(str(trace_info.trace_id or "")):
            raise MlflowException(
                f"Trace id {trace_info.trace_id!r} names the folder of its files: make it of"
                " letters and digits, without / ? # % and \\",
                INVALID_PARAMETER_VALUE,
            )
        self._require_own_assessments(trace_info)
        return super().start_trace(trace_info)

    def _search_runs(  # noqa: PLR0917  # MLflow's
        self, ids: Any, filters: Any, view: Any, max_results: Any, order: Any, token: Any
    ) -> Any:
        def search(most: int) -> Any:
            return super(RunStore, self)._search_runs(ids, filters, view, most, order, token)

        return rows.page(search, max_results)

    def search_traces(
        self,
        experiment_ids: Any = None,
        filter_string: Any = None,
        max_results: int = SEARCH_TRACES_DEFAULT_MAX_RESULTS,
        *args: Any,
        **more: Any,
    ) -> Any:
        """Search traces, by as many at once as may be read."""

        def search(most: int) -> Any:
            found = super(RunStore, self).search_traces
            return found(experiment_ids, filter_string, most, *args, **more)

        return rows.page(search, max_results)

    def _get_spans_with_trace_info(self, trace_info: Any, *args: Any, **more: Any) -> Any:
        """Give the spans of a trace; 400 if they are files, which MLflow reads by another route."""
        try:
            return super()._get_spans_with_trace_info(trace_info, *args, **more)
        except MlflowTraceDataException:
            raise
        except MlflowTracingException as exc:
            # Of the same kind: MLflow's route for files is told by it where they are.
            raise MlflowTracingException(
                f"The spans of trace_id {trace_info.trace_id} are a file: read them with GET"
                f" /api/3.0/mlflow/get-trace-artifact?request_id={trace_info.trace_id}",
                INVALID_PARAMETER_VALUE,
            ) from exc

    def log_spans(self, location: str, spans: Any, tracking_uri: Any = None) -> Any:
        """Log spans, whose tags for their trace don't say where its files are."""
        for span in spans:
            attributes = span._span._attributes  # noqa: SLF001  # nothing public takes one away
            for key in PLACES:
                attributes.pop(f"{SpanAttributeKey.TRACE_TAG_PREFIX}{key}", None)
        return super().log_spans(location, spans, tracking_uri)

    async def log_spans_async(self, location: str, spans: Any) -> Any:
        """Log spans in a thread at once: MLflow's are few, and all namespaces' in one queue."""
        return await in_a_thread(self.log_spans, location, spans)

    def _require_models(self, named: Any) -> None:
        ids = [one.model_id for one in named or () if one.model_id is not None]
        self._require("Logged model", SqlLoggedModel, SqlLoggedModel.model_id, ids)

    def _require_own_assessments(self, trace_info: Any) -> None:
        """Refuse ids of assessments of other traces, which MLflow would move to this one."""
        told = ((one.assessment_id, one.overrides) for one in trace_info.assessments)
        named = sorted({id_ for ids in told for id_ in ids if id_})
        if not named:
            return
        with self.ManagedSessionMaker() as session:
            query = session.query(SqlAssessments.assessment_id)
            others = query.filter(SqlAssessments.trace_id != trace_info.trace_id)
            for some in deletions.chunks(named):
                if found := others.filter(SqlAssessments.assessment_id.in_(some)).first():
                    raise MlflowException(
                        f"Assessment {found[0]} is of another trace than {trace_info.trace_id}:"
                        " leave assessment_id and overrides out, or name one of this trace",
                        INVALID_PARAMETER_VALUE,
                    )

    def _require(self, kind: str, model: Any, column: Any, ids: Iterable[str]) -> None:
        """Find out with one look that all these are in the workspace of the request."""
        named = sorted(set(ids))
        if not named:
            return
        with self.ManagedSessionMaker() as session:
            query = self._get_query(session, model).with_entities(column)
            found = {
                id_ for some in deletions.chunks(named) for (id_,) in query.filter(column.in_(some))
            }
        if missing := set(named) - found:
            text = f"{kind} {min(missing)} is not in namespace {self._get_active_workspace()}"
            raise MlflowException(text, RESOURCE_DOES_NOT_EXIST)

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Log data sets and models as inputs of a run.

        Two Runs that are the first to log the same data set both find it missing and both write
        it; the database takes one. MLflow answers the other with a 400, and autologging then
        drops the batch with its metrics. The second try finds what the other Run wrote.
        """
        self._require_models(models)
        for left in reversed(range(_TRIES)):
            try:
                super().log_inputs(run_id, datasets, models)
                return
            except MlflowException as exc:
                if not left or not isinstance(exc.__cause__, IntegrityError):
                    raise


def _check_tags(tags: Any) -> None:
    for tag in tags or ():
        check_key(tag.key)
