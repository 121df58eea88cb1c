"""Whose fault it is what MLflow's code raises: the caller's, of a bad request, or ours.

MLflow raises whatever Python does where a field of a request has no sense to it, and answers 500
to all of that. The same request raises the same again, so its sender is told, and told what; what
code of ours raises is ours.
"""

import logging
import re
from types import TracebackType

from graphql import GraphQLError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    ErrorCode,
)
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlparse.exceptions import SQLParseError

_log = logging.getLogger(__name__)

TOO_DEEP = (RecursionError, SQLParseError)
BAD_INPUT = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    GraphQLError,
    *TOO_DEEP,
)
"""What MLflow's code raises of a bad request; ArithmeticError of a number too large."""
_UNCODED = ErrorCode.Name(INTERNAL_ERROR)
_PACKAGES = frozenset({"trainyard_tracking", "mlflow", "sqlalchemy"})
_LONGEST = 300
# SQLite's words and PostgreSQL's, which name what must be there once; both with the table or not.
_TAKEN = re.compile(r"UNIQUE constraint failed: (.+)|Key \((.+?)\)=")


def of_caller(exc: BaseException) -> MlflowException | None:
    """Give the error that tells a caller what is wrong with a request.

    None if it says that already, or if it is no fault of the caller's.
    """
    cause = _cause(exc)
    if isinstance(cause, TOO_DEEP):
        kind = type(cause).__name__
        return _invalid(f"The request can't be read, it is nested too deep or too long ({kind})")
    if isinstance(exc, MlflowException) and not _says_nothing(exc, cause):
        return None
    if isinstance(cause, IntegrityError):
        return _of_constraint(cause)
    if isinstance(cause, DataError):
        return _invalid(f"The database takes no such value: {_short(cause.orig)}")
    return _of_code(exc, cause) if _is_mlflows(exc if cause is None else cause) else None


def _of_code(exc: BaseException, cause: BaseException | None) -> MlflowException | None:
    if cause is not None and not isinstance(cause, BAD_INPUT):
        return None
    if isinstance(exc, MlflowException) and exc.message != str(cause):
        # Its code was left out where it was raised.
        return _invalid(exc.message)
    _log.info("told a caller what MLflow raised", exc_info=cause)
    kind = type(cause).__name__
    return _invalid(f"MLflow can't do this with what the request says: {_short(cause)} ({kind})")


def _cause(exc: BaseException) -> BaseException | None:
    """Give what was raised; MLflow makes an error of its own of most that is."""
    return exc.__cause__ or exc.__context__ if isinstance(exc, MlflowException) else exc


def _says_nothing(exc: MlflowException, cause: BaseException | None) -> bool:
    """Tell whether an error of MLflow's was made of another one without a look at it.

    What it says of the database then is the statement, with all values.
    """
    return exc.error_code == _UNCODED or (
        isinstance(cause, SQLAlchemyError) and exc.message == str(cause)
    )


def _of_constraint(cause: IntegrityError) -> MlflowException:
    found = _TAKEN.search(str(cause.orig))
    if found is None:
        _log.info("told a caller of a constraint", exc_info=cause)
        return _invalid("A field is missing, or names what is not there: see the API's reference")
    columns = [column.strip().rpartition(".")[2] for column in (found[1] or found[2]).split(",")]
    fields = " and ".join(columns)
    return MlflowException(
        f"There is one with this {fields} already: choose another, or leave it out where it may be",
        RESOURCE_ALREADY_EXISTS,
    )


def _short(cause: object) -> str:
    text = " ".join(str(cause).encode(errors="replace").decode().split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, INVALID_PARAMETER_VALUE)


def _is_mlflows(exc: BaseException) -> bool:
    """Tell whether it was MLflow's code that raised something, or the database of a value.

    What code of ours raised is a fault of ours, whatever the request said.
    """
    frame: TracebackType | None = exc.__traceback__
    last = ""
    while frame is not None:
        package = str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        last = package if package in _PACKAGES else last
        frame = frame.tb_next
    is_of_value = isinstance(exc, ValueError | OverflowError)
    return last == "mlflow" or (last == "sqlalchemy" and is_of_value)
