"""Connections of HTTP that hear an answer which comes before all of a body was sent.

A service refuses what is too large, or not allowed, by its headers, and closes: the rest of the
body then finds nobody. `http.client` would tell of the broken pipe alone, and a refusal would look
like a service that is away. Standard library only.
"""

import http.client
import ssl
import urllib.request
from typing import Any


class _Hearing(http.client.HTTPConnection):
    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        # By itself, so that what fails here is no answer.
        if self.sock is None:
            self.connect()
        try:
            super().endheaders(message_body, encode_chunked=encode_chunked)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            if message_body is None:
                raise
            # Reading the answer fails in the same way if there is none.


class _HearingByTLS(_Hearing, http.client.HTTPSConnection):
    pass


class Plain(urllib.request.HTTPHandler):
    """Opens http://."""

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask by a connection that hears."""
        return self.do_open(_Hearing, req)


class ByTLS(urllib.request.HTTPSHandler):
    """Opens https://, by what a context trusts."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(context=context)
        self._trusted = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask by a connection that hears."""
        return self.do_open(_HearingByTLS, req, context=self._trusted)
