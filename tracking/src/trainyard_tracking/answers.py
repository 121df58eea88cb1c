"""What MLflow's own handlers answer where they would blame the service, or the wrong side.

A 500 is repeated for minutes by MLflow's client; a 503 as it is told, or at once without a word.
"""

import json
import random
from typing import Any

from flask import Flask, Response
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlparse.exceptions import SQLParseError

from trainyard_tracking.errors import Refused

_BAD_INPUT = (RecursionError, SQLParseError)
_UNAVAILABLE = 503
_AGAIN = range(2, 9)


def answer_clearly(app: Flask) -> None:
    """Make MLflow's Flask tell bad input and a busy service from faults of its own."""
    for kind in _BAD_INPUT:
        app.register_error_handler(kind, _bad_input)
    app.register_error_handler(Refused, _refused)
    # Some of its handlers let pass what they should answer.
    app.register_error_handler(MlflowException, _failed)
    app.after_request(_when_again)


def told(exc: MlflowException) -> MlflowException:
    """Give the error that says whose fault it was, by what a store ran into."""
    cause = exc.__cause__
    if isinstance(cause, _BAD_INPUT):
        return MlflowException(_words(cause), INVALID_PARAMETER_VALUE)
    if isinstance(cause, NoConnection):
        return MlflowException(
            "The database has no connection left at the moment: try again", TEMPORARILY_UNAVAILABLE
        )
    return exc


def _refused(exc: Refused) -> Response:
    body = json.dumps({"error_code": exc.code, "message": str(exc)})
    return Response(body, exc.status, exc.headers, mimetype="application/json")


def _failed(exc: MlflowException) -> Response:
    text = exc.serialize_as_json()
    return Response(text, exc.get_http_status_code(), mimetype="application/json")


def _bad_input(exc: Exception) -> Response:
    content = {"error_code": "INVALID_PARAMETER_VALUE", "message": _words(exc)}
    return Response(json.dumps(content), 400, mimetype="application/json")


def _words(exc: BaseException) -> str:
    return f"The request can't be read, it is nested too deep or too long ({type(exc).__name__})"


def _when_again(answer: Any) -> Any:
    if answer.status_code == _UNAVAILABLE and "Retry-After" not in answer.headers:
        answer.headers["Retry-After"] = str(random.choice(_AGAIN))  # noqa: S311  # spreads only
    return answer
