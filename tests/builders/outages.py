"""Ways in which an API server does not answer, for the fake one of builders/sdk.py.

Each takes the handler of one request; True says that there is nothing more to do.
"""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from trainyard import _patience

Outage = Callable[[Any], bool]


def reset(handler: Any) -> bool:
    """Hang up without a word."""
    handler.close_connection = True
    handler.connection.close()
    return True


def lost(handler: Any) -> bool:
    """Do what is asked, and hang up before the answer."""
    real, handler.wfile = handler.wfile, io.BytesIO()
    try:
        handler.dispatch()
    finally:
        handler.wfile = real
    return reset(handler)


def status(code: int, *, after: str = "") -> Outage:
    """Answer with an error of the API server, and the header Retry-After."""

    def answer(handler: Any) -> bool:
        said = {"kind": "Status", "message": "etcdserver: leader changed", "code": code}
        body = json.dumps(said).encode()
        handler.send_response(code)
        if after:
            handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)
        return True

    return answer


class Time:
    """A clock that pauses move on by as much as they would have lasted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses: list[float] = []
        monkeypatch.setattr(_patience, "clock", lambda: time.monotonic() + sum(self.pauses))
        monkeypatch.setattr(_patience, "pause", self.pauses.append)
