"""MLflow's handlers read all of a request, or nothing of it.

MLflow goes on with what its parser has read where that stops at a field that is none of its kind:
of `"metrics": [{"value": "abc", …}, …]` it kept 0.0 at step 0, dropped all that comes after in the
request, params and tags as well, and answered 200.
"""

from typing import Any

from flask import g
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.server.handlers import ParseError
from mlflow.utils.proto_json_utils import parse_dict

_read = handlers._get_request_message  # noqa: SLF001  # all handlers read by it


def read_whole() -> None:
    """Have MLflow's handlers refuse what they can't read whole."""
    handlers.parse_dict = _noting
    handlers._get_request_message = _whole  # noqa: SLF001  # as above


def _noting(found: Any, message: Any) -> None:
    try:
        parse_dict(found, message)
    except ParseError as exc:
        # MLflow's own checks come first: their words are what clients know.
        g.unread = exc
        raise


def _whole(*args: Any, **more: Any) -> Any:
    g.unread = None
    message = _read(*args, **more)
    if g.unread is not None:
        raise MlflowException.invalid_parameter_value(f"A field can't be read: {g.unread}")
    return message
