"""What the code of a Run may do through MLflow's API, and how its requests are changed.

Every experiment name means the Run's own experiment; the first run it starts is the Run's own, the
others become its children; its own runs, logged models, artifacts and traces are its to read and
write; models and versions of the namespace are its to read. Everything else is refused. Each check
takes one call; it may change it, answer it, or raise `Forbidden`.
"""

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from trainyard_tracking.auth.call import Body, Call, Reply, with_snake_keys
from trainyard_tracking.auth.ownership import TRACE_RUN_KEY, Ownership, experiment_of
from trainyard_tracking.claims import claim, mark
from trainyard_tracking.errors import Forbidden, Refused
from trainyard_tracking.identity import RunIdentity
from trainyard_tracking.reserved import check_key

Answer = Reply | None


def own_experiment_by_name(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Answer any experiment name with the Run's own experiment."""
    return Reply({"experiment": experiment_of(who)})


def own_experiment(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Answer the Run's own experiment; 0 is what a client asks for that was told nothing."""
    asked = call.values("experiment_id")
    if any(one not in {who.experiment_id, "0"} for one in asked):
        raise Forbidden(f"Experiment {asked[0]} is not that of Run {who.name}")
    return Reply({"experiment": experiment_of(who)})


def own_experiment_made(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Answer a wish for a new experiment with the Run's own."""
    return Reply({"experiment_id": who.experiment_id})


def own_experiments(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Answer a search with the Run's own experiment."""
    return Reply({"experiments": [experiment_of(who)]})


def new_run(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Answer the first wish for a run with the Run's own; make every other a child of it."""
    body = _body(call)
    body["experiment_id"] = who.experiment_id
    tags = _entries(body, "tags")
    check_tags(tags, who, own)
    if not any(tag.get("key") == MLFLOW_PARENT_RUN_ID for tag in tags):
        if given := claim(who, tags, str(body.get("run_name") or "")):
            return Reply({"run": given})
        tags.append({"key": MLFLOW_PARENT_RUN_ID, "value": who.run_id})
    body["tags"] = tags
    return None


def own_run_updated(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let the Run's own runs be resumed and ended; whoever resumes the first one has taken it."""
    own_run_written(call, who, own)
    if who.run_id in call.values("run_id", "run_uuid"):
        mark(who)
    return None


def own_run(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let through what is about the Run's own runs."""
    for run_id in call.values("run_id", "run_uuid", "run_ids"):
        require_run(run_id, who, own)
    body = call.body or {}
    check_tags(_entries(body, "tags"), who, own)
    check_tags([body], who, own)
    for model_id in call.values("model_id"):
        require_model(model_id, who, own)
    _check_metrics(body, who, own)
    return None


def own_run_written(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let the Run's own runs be written to, but for those of an earlier attempt."""
    own_run(call, who, own)
    for run_id in call.values("run_id", "run_uuid"):
        _require_current(run_id, who, own)
    return None


def own_run_outputs(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a run of the Run's name as outputs only what it logged."""
    own_run_written(call, who, own)
    for model in _entries(_body(call), "models"):
        require_model(str(model.get("model_id", "")), who, own)
    return None


def own_run_inputs(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a run of the Run's name as inputs only what it may read."""
    own_run_written(call, who, own)
    for model in _entries(_body(call), "models"):
        _require_readable(str(model.get("model_id", "")), who, own)
    return None


def child_only(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let children be deleted and restored, never the Run's own record."""
    if who.run_id in call.values("run_id", "run_uuid"):
        raise Forbidden(f"The record of Run {who.name} is not the Run's to delete")
    return own_run_written(call, who, own)


def own_runs_found(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Narrow a search of runs or logged models to the Run's own runs and what they logged."""
    _body(call)["experiment_ids"] = [who.experiment_id]
    call.narrowed = True
    return None


def new_logged_model(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Make a new logged model the Run's."""
    body = _body(call)
    body["experiment_id"] = who.experiment_id
    source = str(body.get("source_run_id") or who.run_id)
    require_run(source, who, own)
    _require_current(source, who, own)
    body["source_run_id"] = source
    return None


def own_logged_model(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let through what is about a model that the Run logged."""
    require_model(call.arguments[0], who, own)
    return None


def readable_logged_model(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a logged model be read that is the Run's or stands behind a registered version."""
    _require_readable(call.arguments[0], who, own)
    return None


def anything(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let through what a Run may always do in its own namespace."""
    return None


def new_trace(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Make a new trace the Run's."""
    trace = with_snake_keys(_object(_body(call), "trace"))
    info = with_snake_keys(_object(trace, "trace_info"))
    trace_id = str(info.get("trace_id") or "")
    if not trace_id:
        raise Refused("trace.trace_info.trace_id is missing")
    if own.trace_exists(trace_id):
        require_trace(trace_id, who, own)
    info["trace_location"] = {
        "type": "MLFLOW_EXPERIMENT",
        "mlflow_experiment": {"experiment_id": who.experiment_id},
    }
    metadata = _object(info, "trace_metadata")
    require_run(str(metadata.setdefault(TRACE_RUN_KEY, who.run_id)), who, own)
    info["trace_metadata"] = metadata
    trace["trace_info"] = info
    call.body = {"trace": trace}
    return None


def new_old_trace(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Make a new trace of a client of MLflow 2 the Run's; the service gives it its id."""
    body = _body(call)
    body["experiment_id"] = who.experiment_id
    noted = _entries(body, "request_metadata")
    if not _sources(noted):
        noted.append({"key": TRACE_RUN_KEY, "value": who.run_id})
    _check_sources(noted, who, own)
    body["request_metadata"] = noted
    return None


def own_old_trace_ended(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a client of MLflow 2 end a trace of the Run's, which stays the Run's."""
    own_trace(call, who, own)
    _check_sources(_entries(_body(call), "request_metadata"), who, own)
    return None


def _sources(noted: list[Body]) -> list[str]:
    return [str(one.get("value", "")) for one in noted if one.get("key") == TRACE_RUN_KEY]


def _check_sources(noted: list[Body], who: RunIdentity, own: Ownership) -> None:
    for run_id in _sources(noted):
        require_run(run_id, who, own)


def own_trace(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let through what is about the Run's own traces and runs."""
    for trace_id in [*call.arguments[:1], *call.values("trace_id", "trace_ids", "request_id")]:
        require_trace(trace_id, who, own)
    if TRACE_RUN_KEY in call.values("key"):
        raise Forbidden(f"{TRACE_RUN_KEY} of a trace can't be changed")
    for run_id in call.values("run_id"):
        require_run(run_id, who, own)
    return None


def require_run(run_id: str, who: RunIdentity, own: Ownership) -> None:
    """Refuse a run that is neither the Run's nor below it."""
    if not own.has_run(who, run_id):
        raise Forbidden(f"Run {run_id} is neither that of Run {who.name} nor a child of it")


def _require_current(run_id: str, who: RunIdentity, own: Ownership) -> None:
    if own.is_earlier(who, run_id):
        raise Forbidden(
            f"Run {run_id} is the record of an earlier attempt of Run {who.name}, which nothing"
            " changes any more: read it, and log to a new run"
        )


def require_model(model_id: str, who: RunIdentity, own: Ownership) -> None:
    """Refuse a model that the Run did not log."""
    if not own.has_model(who, model_id):
        raise Forbidden(f"Logged model {model_id} was not logged by Run {who.name}")


def _require_readable(model_id: str, who: RunIdentity, own: Ownership) -> None:
    if not own.registered.is_registered_model_id(who.namespace, model_id):
        require_model(model_id, who, own)


def require_trace(trace_id: str, who: RunIdentity, own: Ownership) -> None:
    """Refuse a trace that is not the Run's."""
    if not own.has_trace(who, trace_id):
        raise Forbidden(f"Trace {trace_id} is not that of Run {who.name}")


def check_tags(tags: list[Body], who: RunIdentity, own: Ownership) -> None:
    """Refuse tags that would move a run below another, or pass for the platform's."""
    for tag in tags:
        key = str(tag.get("key", ""))
        check_key(key)
        if key == MLFLOW_PARENT_RUN_ID:
            require_run(str(tag.get("value", "")), who, own)


def _check_metrics(body: Body, who: RunIdentity, own: Ownership) -> None:
    metrics = [with_snake_keys(metric) for metric in _entries(body, "metrics")]
    named = {str(metric["model_id"]) for metric in metrics if metric.get("model_id")}
    for model_id in sorted(named):
        require_model(model_id, who, own)
    if any(metric.get("run_id") for metric in metrics):
        for run_id in {str(metric.get("run_id") or who.run_id) for metric in metrics}:
            require_run(run_id, who, own)
    if metrics:
        body["metrics"] = metrics


def _body(call: Call) -> Body:
    if call.body is None:
        call.body = {}
    return call.body


def _object(body: Body, name: str) -> Body:
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise Refused(f"{name} must be an object")
    return found


def _entries(body: Body, name: str) -> list[Body]:
    found = body.get(name) or []
    if not isinstance(found, list) or any(not isinstance(one, dict) for one in found):
        raise Refused(f"{name} must be a list of objects")
    return [with_snake_keys(one) for one in found]
