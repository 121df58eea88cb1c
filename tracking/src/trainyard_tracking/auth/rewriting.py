"""What is changed in a request before it is judged, whoever sends it.

- `0`, which is what a client asks for that was told no experiment, gets a meaning everywhere.
  MLflow has one experiment 0, in workspace `default`; here it is the one named Default of the
  caller's namespace, as it would be if each namespace had a service of its own.
- Callers don't say where the files of a trace are: they are read with the service's keys. MLflow
  notes their place in the trace's tags, and lets a caller give a new trace any tags. Those that
  come in spans are taken out where they are written.
"""

from typing import Any

from mlflow.tracing.constant import SpansLocation, TraceTagKey
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from trainyard_tracking.auth.call import Body, Call, snake
from trainyard_tracking.errors import Forbidden
from trainyard_tracking.recording import default_experiment
from trainyard_tracking.reserved import PLACES

DEFAULT: str = DEFAULT_WORKSPACE_NAME
_ANY = "0"
_HEADER = "x-mlflow-experiment-id"
_FIELDS = frozenset({"experiment_id", "experiment_ids"})
_NAMES_EXPERIMENTS = frozenset(
    {"trace", "trace_info", "trace_location", "mlflow_experiment", "locations"}
)
# No place of files: the spans are in the database.
_HARMLESS = (TraceTagKey.SPANS_LOCATION, SpansLocation.TRACKING_STORE.value)
_HOLDS_PLACES = frozenset({"trace", "trace_info", "tags", "trace_metadata", "request_metadata"})


def use_own_default(call: Call) -> None:
    """Write the namespace's own Default experiment where a request says 0."""
    own = default_experiment(call.namespace)
    call.query = [
        (name, own if name in _FIELDS and value == _ANY else value) for name, value in call.query
    ]
    if call.headers.get(_HEADER) == _ANY:
        call.headers[_HEADER] = own
    if call.body is not None:
        call.body = _written(call.body, own)


def _written(body: Body, own: str) -> Body:
    return {name: _value(snake(name), value, own) for name, value in body.items()}


def _value(name: str, value: Any, own: str) -> Any:
    if isinstance(value, list):
        return [_value(name, one, own) for one in value]
    if name in _NAMES_EXPERIMENTS and isinstance(value, dict):
        return _written(value, own)
    return own if name in _FIELDS and str(value) == _ANY else value


def without_places(call: Call) -> None:
    """Take places of files out of a new trace; refuse to set one.

    Raises:
        Forbidden: the call sets such a tag.
    """
    set_one = [key for key in call.values("key") if key in PLACES]
    if set_one and call.method != "DELETE":
        raise Forbidden(f"{set_one[0]} of a trace says where its files are: the service sets it")
    if call.body is not None:
        call.body = _cleaned(call.body)


def _cleaned(found: Any) -> Any:
    if isinstance(found, list):
        return [
            one
            for one in found
            if not isinstance(one, dict) or not _is_place(one.get("key"), one.get("value"))
        ]
    if not isinstance(found, dict):
        return found
    return {
        name: _cleaned(value) if snake(str(name)) in _HOLDS_PLACES else value
        for name, value in found.items()
        if not _is_place(name, value)
    }


def _is_place(key: Any, value: Any) -> bool:
    return isinstance(key, str) and key in PLACES and (key, value) != _HARMLESS
