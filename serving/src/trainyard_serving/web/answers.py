"""Responses as values, and the one table from errors to HTTP status codes."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson

from trainyard_serving import errors
from trainyard_serving.callers import Caller, Present

JSON: Final = "application/json"


# Neither is ever changed; frozen ones cost a microsecond more to make, and each request makes both.
@dataclass(slots=True)
class Request:
    """One complete HTTP request; header names are in lower case."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    caller: Caller = field(default_factory=Present)

    def header(self, name: bytes) -> str:
        """Return a header's value, or "" if it is not there."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(slots=True)
class Answer:
    """What goes back; headers in `extra` are complete lines."""

    status: int
    body: bytes
    content_type: str = JSON
    extra: bytes = b""

    def encoded(self, *, head: bool = False, close: bool = False, old: bool = False) -> bytes:
        """Return the bytes of the response.

        Args:
            head: The request was HEAD: the length is told, the body is not sent.
            close: The connection ends after this.
            old: The client speaks HTTP/1.0 and wants to go on.
        """
        connection = b"Connection: close\r\n" if close else b""
        if old and not close:
            connection = b"Connection: keep-alive\r\n"
        return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
            _STATUS_LINES[self.status],
            self.content_type.encode("ascii"),
            len(self.body),
            self.extra,
            connection,
            b"" if head else self.body,
        )


_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
CALLER_GONE: Final = 499
"""Counted, and never sent: nobody reads it. The number is nginx's."""
AGAIN_SOON: Final = b"Retry-After: 1\r\n"

_STATUS: Final[dict[type[errors.ServingError], int]] = {
    errors.BadInput: 400,
    errors.UnknownModel: 404,
    errors.UnsupportedMedia: 415,
    errors.ModelFailed: 422,
    errors.BadOutput: 500,
    errors.NotReady: 503,
    errors.Overloaded: 503,
    errors.Abandoned: CALLER_GONE,
}
_MLFLOW_CODES: Final = {
    400: "BAD_REQUEST",
    404: "ENDPOINT_NOT_FOUND",
    415: "BAD_REQUEST",
    422: "BAD_REQUEST",
    503: "TEMPORARILY_UNAVAILABLE",
}


def json_answer(document: object, status: int = 200) -> Answer:
    """Return a document as an answer."""
    return Answer(status, orjson.dumps(document))


def problem(status: int, message: str, *, extra: bytes = b"") -> Answer:
    """Return an error in the form of the inference protocol."""
    return Answer(status, orjson.dumps({"error": message}), extra=extra)


def refusal(error: errors.ServingError, *, mlflow: bool) -> Answer:
    """Return the answer of a failed request, in the form of the protocol it came by."""
    status = _STATUS.get(type(error), 500)
    extra = AGAIN_SOON if status == 503 else b""
    # Lone surrogates can't be written; they can only come from the model's own messages.
    text = str(error).encode("utf-8", "replace").decode("utf-8")
    if mlflow:
        code = _MLFLOW_CODES.get(status, "INTERNAL_ERROR")
        return Answer(status, orjson.dumps({"error_code": code, "message": text}), extra=extra)
    return problem(status, text, extra=extra)


def path_of(url: bytes) -> str:
    """Return the decoded path of a request target, which may be a whole URL."""
    path = url.split(b"?", 1)[0].decode("latin-1")
    if not path.startswith("/"):
        try:
            path = urlsplit(path).path
        except ValueError:
            return path
    return unquote(path) if "%" in path else path
