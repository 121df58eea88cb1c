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
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlparse.exceptions import SQLParseError

from trainyard_tracking.deadlines import LIMIT, is_long_pattern, was_ended
from trainyard_tracking.errors import NoDatabase, Refused, TooBroad, Unavailable

_BAD_INPUT = (RecursionError, SQLParseError)
_log = logging.getLogger(__name__)


def answer_clearly(app: Flask) -> None:
    """Make MLflow's Flask tell bad input and a busy service from faults of its own."""
    for kind in _BAD_INPUT:
        app.register_error_handler(kind, _bad_input)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(SQLAlchemyError, _of_database)
    # Some of its handlers let pass what they should answer.
    app.register_error_handler(MlflowException, _failed)
    app.after_request(_when_again)


def told(exc: MlflowException) -> MlflowException:
    """Give the error that says whose fault it was, by what a store ran into."""
    cause = exc.__cause__
    if isinstance(cause, _BAD_INPUT):
        return MlflowException(_words(cause), INVALID_PARAMETER_VALUE)
    if (gone := without_database(exc)) is not None:
        code = INVALID_PARAMETER_VALUE if isinstance(gone, TooBroad) else TEMPORARILY_UNAVAILABLE
        return MlflowException(str(gone), code)
    return exc


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


def _of_database(exc: SQLAlchemyError) -> Response:
    if (gone := without_database(exc)) is None:
        raise exc
    return _refused(gone)


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
    if answer.status_code == Unavailable.status and "Retry-After" not in answer.headers:
        answer.headers.extend(Unavailable("").headers)
    return answer
