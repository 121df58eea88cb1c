"""What an answer of the API server means to the operator. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta

import orjson

from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import (
    Conflict,
    Expired,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
    Unavailable,
    Unheard,
)
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shapes import Reader

# etcd's words, and those of what asks it, whose limit is in front of etcd's own.
_TOO_LARGE = re.compile(
    r"request is too large|entity too large|message larger than max", re.IGNORECASE
)
_UNSAID = "request entity too large"
# What is believed of the API server alone, which says why: a proxy's 404 is no object that is gone.
_ITS_OWN = frozenset({400, 404, 409, 412, 422})
# A wait that a server or a proxy asks for: one of none at all would be asking without a pause.
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(minutes=1)


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
    status = json_object(body)
    message, reason = _told(status, body)
    if (status or {}).get("kind") != "Status" and code in _ITS_OWN:
        return Unavailable("APIServerUnavailable", f"{code}, not by the API server: {message}")
    refusal = _refusal(code, message, reason)
    if refusal is not None:
        return refusal
    said = message or f"the API server answered {code}"
    after = _wait(headers.get("retry-after", ""))
    busy = code == 429 or (code == 503 and after)
    kind = Expired if code == 410 else Unheard if busy else Unavailable
    return kind("APIServerUnavailable", said, after=after)


def _refusal(code: int, message: str, reason: str) -> OperatorError | None:
    if code == 404:
        return NotFound("NotFound", message)
    if code in {409, 412} and reason != "Forbidden":
        return Conflict(reason or "Conflict", message)
    if code == 413 or (code >= 500 and too_large(message)):
        # Time makes nothing smaller.
        return Terminal("InvalidSpec", too_large(message) or too_large(_UNSAID))
    if code in {400, 422}:
        return Terminal("InvalidSpec", message)
    return _forbidden(message) if code == 403 else None


def _wait(told: str) -> timedelta | None:
    if not re.fullmatch("[0-9]{1,9}", told):
        return None
    return min(max(timedelta(seconds=int(told)), _SHORTEST), _LONGEST)


def _forbidden(message: str) -> OperatorError:
    if "exceeded quota" in message:
        return Retry("QuotaExceeded", message, after=timedelta(seconds=10))
    if "being terminated" in message:
        return Retry("NamespaceTerminating", message, after=timedelta(seconds=30))
    return Retry("Forbidden", message, after=timedelta(seconds=30))


def parsed(body: bytes, what: str, read: Reader = orjson.loads) -> Object:
    """Return the object that an answer, or a line of it, holds.

    Raises:
        Unavailable: It holds none: it is a proxy's page, or was cut short.
    """
    answer = json_object(body, read)
    if answer is None:
        said = f"{what}: the answer is no JSON object: {body[:100].decode(errors='replace')}"
        raise Unavailable("APIServerUnavailable", said)
    return answer


def event_of(line: bytes, what: str, read: Reader) -> Object:
    """Return the event that a line of a watch holds, or what is read of it.

    Raises:
        Unavailable: It holds none.
    """
    event = parsed(line, what, read)
    if not isinstance(event.get("type"), str) or not isinstance(event.get("object"), dict):
        said = f"{what}: this is no event: {line[:100].decode(errors='replace')}"
        raise Unavailable("APIServerUnavailable", said)
    return event


def _told(status: Object | None, body: bytes) -> tuple[str, str]:
    if status is None:
        return body[:500].decode(errors="replace"), ""
    return str(status.get("message", "")), str(status.get("reason", ""))


def written_object(answer: Object) -> Object:
    """Return the object that a write was answered with.

    Raises:
        Unavailable: It is none: whether it was written is not known.
    """
    kind = str(answer.get("apiVersion")), str(answer.get("kind"))
    if kind not in objects.PLURALS or not isinstance(answer.get("metadata"), dict):
        said = f"a write was answered with something else than an object: {str(answer)[:100]}"
        raise Unavailable("APIServerUnavailable", said)
    return answer


def json_object(body: bytes, read: Reader = orjson.loads) -> Object | None:
    """Return the JSON object that a body holds; None if it holds none."""
    try:
        found = read(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
