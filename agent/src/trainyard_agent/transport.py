"""HTTP to the tracking service: streamed both ways, patient while it is down.

The only module of the agent that opens a connection. A service that is away (refused, reset,
502, 503, 504) is retried until the patience is used up, and each wait is told on stdout, which
is the container's log.
"""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainyard_agent.errors import SourceError, TransportError

CHUNK = 1 << 20
_AWAY = frozenset({429, 502, 503, 504})
_CONNECT_TIMEOUT = 30.0


class _SameHostCredentials(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never carry the token to another host."""

    def redirect_request(  # noqa: PLR0917  # the standard library's signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            following.remove_header("Authorization")
        return following


# In-cluster traffic: a proxy from the environment is for the internet.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _SameHostCredentials())


@dataclass(frozen=True, slots=True)
class Tracking:
    """The tracking service, as one namespace's token sees it.

    Attributes:
        base: Service URL followed by `/api/trainyard/v1/namespaces/<namespace>`.
        token: Bearer token.
        patience: Seconds to go on retrying while the service is away.
    """

    base: str
    token: str
    patience: float = 600.0
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep

    def json(self, path: str) -> Any:
        """GET a JSON document."""

        def read() -> Any:
            with self._open("GET", path) as response:
                return json.load(response)

        return self._patiently(read, what=path)

    def download(self, path: str, target: Path, *, digest: str = "") -> int:
        """Stream a file to the target and return its size, checking its sha256 if given.

        Raises:
            SourceError: The content is not what the digest says.
        """
        return int(self._patiently(lambda: self._download_once(path, target, digest), what=path))

    def exists(self, path: str) -> bool:
        """Tell whether HEAD finds the path."""

        def look() -> bool:
            try:
                with self._open("HEAD", path):
                    return True
            except SourceError:
                return False

        return bool(self._patiently(look, what=path))

    def upload(self, path: str, content: Path | bytes, *, size: int) -> None:
        """PUT a file, streamed, or bytes."""
        self._patiently(lambda: self._upload_once(path, content, size), what=path)

    def _download_once(self, path: str, target: Path, digest: str) -> int:
        hasher = hashlib.sha256()
        size = 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._open("GET", path) as response, target.open("wb") as file:
            while chunk := response.read(CHUNK):
                hasher.update(chunk)
                file.write(chunk)
                size += len(chunk)
            expected = response.headers.get("Content-Length")
        if expected is not None and size != int(expected):
            raise _AwayError(f"{path}: cut off after {size} of {expected} bytes")
        got = f"sha256:{hasher.hexdigest()}"
        if digest and got != digest:
            raise SourceError(
                f"{path} came as {got}, asked for {digest}: upload it again",
                reason="DigestMismatch",
            )
        return size

    def _upload_once(self, path: str, content: Path | bytes, size: int) -> None:
        if isinstance(content, bytes):
            with self._open("PUT", path, data=content, size=size):
                return
        with content.open("rb") as file, self._open("PUT", path, data=file, size=size):
            return

    @contextmanager
    def _open(
        self, method: str, path: str, *, data: Any = None, size: int = 0
    ) -> Iterator[HTTPResponse]:
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": "trainyard-agent"}
        if data is not None:
            headers |= {
                "Content-Length": str(size),
                "Content-Type": "application/octet-stream",
            }
        request = urllib.request.Request(  # noqa: S310  # the URL is the operator's
            f"{self.base}{path}", data=data, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=_CONNECT_TIMEOUT) as response:
                yield response
        except urllib.error.HTTPError as exc:
            with exc:
                raise _translated(exc, f"{method} {self.base}{path}") from exc

    def _patiently(self, attempt: Callable[[], Any], *, what: str) -> Any:
        waited, pause = 0.0, 0.5
        while True:
            try:
                return attempt()
            except _DOWN as exc:
                if waited >= self.patience:
                    raise TransportError(
                        f"{self.base} did not answer for {int(waited)} s ({exc}): see"
                        " whether the tracking service's pod is ready"
                    ) from exc
                self.say(f"{what}: {exc}; trying again in {pause:g} s")
            self.sleep(pause)
            waited += pause
            pause = min(pause * 2, 15.0)


class _AwayError(Exception):
    """The service is there but says that it can't answer now."""


# Not OSError as such: a full disk is nobody's outage.
_DOWN = (_AwayError, urllib.error.URLError, ConnectionError, TimeoutError, HTTPException)


def _translated(exc: urllib.error.HTTPError, what: str) -> Exception:
    told = _told(exc)
    if exc.code in _AWAY or exc.code >= 500:
        return _AwayError(f"{what}: {exc.code} {told}")
    if exc.code in {401, 403}:
        return TransportError(f"{what}: {exc.code} {told}", reason="TokenRefused")
    if exc.code == 404:
        return SourceError(f"{what}: {told or 'not found'}", reason="SourceMissing")
    return TransportError(f"{what}: {exc.code} {told}", reason="TrackingRefused")


def _told(exc: urllib.error.HTTPError) -> str:
    try:
        body = exc.read(4096)
    except (OSError, HTTPException):
        return exc.reason
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(exc.reason)
