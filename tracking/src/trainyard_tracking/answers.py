"""What MLflow's own handlers answer where they would blame the service, or the wrong side.

A 500 is repeated for minutes by MLflow's client; a 503 as it is told, or at once without a word.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)
from mlflow.server.handlers import catch_mlflow_exception
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from werkzeug.exceptions import HTTPException

from trainyard_tracking.deadlines import LIMIT, is_long_pattern, is_too_much, was_ended
from trainyard_tracking.errors import Conflict, NoDatabase, Refused, TooBroad, Unavailable
from trainyard_tracking.faults import BAD_INPUT, of_caller

_FAULT = 500
_STATE = ErrorCode.Name(INVALID_STATE)
_log = logging.getLogger(__name__)


def answer_clearly(app: Flask) -> None:
    """Make MLflow's Flask tell bad input and a busy service from faults of its own."""
    _let_out(app)
    for kind in (*BAD_INPUT, SQLAlchemyError):
        app.register_error_handler(kind, _raised)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(MlflowException, _failed)
    app.after_request(_when_again)


def _let_out(app: Flask) -> None:
    """Let errors out of MLflow's handlers, which else answer them as they come: a 500 for most."""
    catching = catch_mlflow_exception(_failed).__code__
    views: dict[str, Any] = app.view_functions
    for name, view in views.items():
        if getattr(view, "__code__", None) is catching:
            views[name] = view.__wrapped__


def told(exc: MlflowException) -> MlflowException:
    """Give the error that says whose fault it was, by what a store ran into."""
    if (gone := without_database(exc)) is not None:
        code = INVALID_PARAMETER_VALUE if isinstance(gone, TooBroad) else TEMPORARILY_UNAVAILABLE
        return MlflowException(str(gone), code)
    return of_caller(exc) or exc


def without_database(exc: BaseException) -> NoDatabase | TooBroad | None:
    """Say that it was the database that did not answer, or not in time, without host and SQL.

    Those are for the log: anybody may read an answer. None if it was something else.
    """
    cause = exc.__cause__ if isinstance(exc, MlflowException) else exc
    if isinstance(cause, NoConnection):
        return NoDatabase("The database has no connection left at the moment: try again")
    if isinstance(cause, DBAPIError) and was_ended(cause.orig):
        _log.warning("the database took too long: %s", cause.statement)
        return _too_slow()
    if isinstance(cause, DBAPIError) and is_long_pattern(cause.orig):
        return TooBroad("The filter compares with too long a text: shorten what LIKE stands before")
    if isinstance(cause, DBAPIError) and is_too_much(cause.orig):
        return TooBroad("This names more than the database takes at once: ask for less at a time")
    is_gone = isinstance(cause, DBAPIError) and cause.connection_invalidated
    if is_gone or isinstance(cause, (InterfaceError, OperationalError)):
        _log.warning("the database: %s", cause)
        return NoDatabase("The database does not answer: try again")
    return None


def _too_slow() -> NoDatabase | TooBroad:
    limit = LIMIT.get()
    took = f"The database took longer than {limit.seconds:g} s" if limit else "A query was ended"
    if limit is not None and limit.asks:
        return TooBroad(
            f"{took} for this, which is the limit of the service (tracking.querySeconds): ask for"
            " less, by fewer experiments, by a filter on attributes such as start_time or status,"
            " or without order_by"
        )
    return NoDatabase(f"{took}; what had been begun was taken back: try again")


def telling(make: Any) -> Any:
    """Make sessions of a store of MLflow's whose errors say whose fault they were."""

    @contextmanager
    def session(*args: Any, **more: Any) -> Iterator[Any]:
        try:
            with make(*args, **more) as opened:
                yield opened
        except MlflowException as exc:
            better = told(exc)
            if better is exc:
                raise
            raise better from exc.__cause__

    return session


def _raised(exc: Exception) -> Any:
    if isinstance(exc, HTTPException):
        return exc
    if (gone := without_database(exc)) is not None:
        return _refused(gone)
    if (found := of_caller(exc)) is not None:
        return _answer(found)
    raise exc


def _refused(exc: Refused) -> Response:
    body = json.dumps({"error_code": exc.code, "message": str(exc)})
    return Response(body, exc.status, exc.headers, mimetype="application/json")


def _failed(exc: MlflowException) -> Response:
    return _answer(told(exc))


def _answer(exc: MlflowException) -> Response:
    # MLflow has 500 for it, which clients repeat.
    is_state = exc.error_code == _STATE
    status = Conflict.status if is_state else exc.get_http_status_code()
    if status >= _FAULT:
        _log.error("MLflow: %s", exc.message, exc_info=status == _FAULT)
    return Response(exc.serialize_as_json(), status, mimetype="application/json")


def _when_again(answer: Any) -> Any:
    if answer.status_code == Unavailable.status and "Retry-After" not in answer.headers:
        answer.headers.extend(Unavailable("").headers)
    return answer
