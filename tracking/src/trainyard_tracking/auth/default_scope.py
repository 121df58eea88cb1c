"""Gives `0`, which is what a client asks for that was told no experiment, a meaning everywhere.

MLflow has one experiment 0, in workspace `default`; here it is the one named Default of the
caller's namespace, as it would be if each namespace had a service of its own.
"""

from typing import Any

from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from trainyard_tracking.auth.call import Body, Call, snake
from trainyard_tracking.recording import default_experiment

DEFAULT: str = DEFAULT_WORKSPACE_NAME
_ANY = "0"
_HEADER = "x-mlflow-experiment-id"
_FIELDS = frozenset({"experiment_id", "experiment_ids"})
_INSIDE = frozenset({"trace", "trace_info", "trace_location", "mlflow_experiment", "locations"})


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
    if name in _INSIDE and isinstance(value, dict):
        return _written(value, own)
    return own if name in _FIELDS and str(value) == _ANY else value
