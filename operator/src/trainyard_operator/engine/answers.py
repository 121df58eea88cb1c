"""What an answer of the API server means to the operator. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta

import orjson

from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
    Unavailable,
)
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shapes import Reader

# etcd's words, and those of what asks it, whose limit is in front of etcd's own.
_TOO_LARGE = re.compile(
    r"request is too large|entity too large|message larger than max", re.IGNORECASE
)
_UNSAID = "request entity too large"


def too_large(message: str) -> str:
    """Return what to make smaller, "" if an object was not refused for its size."""
    if not _TOO_LARGE.search(message):
        return ""
    return (
        "it is larger than what a cluster keeps of one object (1.5 MiB by default): make what it"
        " holds smaller, of a Run its parameters (each is in a pod twice), args and env, and have"
        f" its program read what is long from a file of the source or an artifact ({message})"
    )


def error_of(code: int, body: bytes, headers: Mapping[str, str]) -> OperatorError:
    """Return the operator's error for an answer of the API server."""
    message, reason = _status(body)
    if code == 404:
        return NotFound("NotFound", message)
    if code in {409, 412} and reason != "Forbidden":
        return Conflict(reason or "Conflict", message)
    if code == 413 or (code >= 500 and too_large(message)):
        # Time makes nothing smaller.
        return Terminal("InvalidSpec", too_large(message) or too_large(_UNSAID))
    if code in {400, 422}:
        return Terminal("InvalidSpec", message)
    if code == 403:
        return _forbidden(message)
    after = headers.get("retry-after", "")
    delay = timedelta(seconds=int(after)) if after.isdigit() else None
    return Unavailable(
        "APIServerUnavailable", message or f"the API server answered {code}", after=delay
    )


def _forbidden(message: str) -> OperatorError:
    if "exceeded quota" in message:
        return Retry("QuotaExceeded", message, after=timedelta(seconds=10))
    if "being terminated" in message:
        return Retry("NamespaceTerminating", message, after=timedelta(seconds=30))
    return Retry("Forbidden", message, after=timedelta(seconds=30))


def parsed(body: bytes, what: str, read: Reader = orjson.loads) -> Object:
    """Return the object that an answer, or a line of it, holds.

    Raises:
        Unavailable: It is no JSON.
    """
    try:
        return read(body)
    except ValueError as exc:
        # A proxy's page, or an answer cut short.
        said = f"{what}: the answer is no JSON: {body[:100].decode(errors='replace')}"
        raise Unavailable("APIServerUnavailable", said) from exc


def _status(body: bytes) -> tuple[str, str]:
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:500].decode(errors="replace"), ""
    return str(status.get("message", "")), str(status.get("reason", ""))
