"""HTTP between our own parts, as a client: resumed, verified, patient. Standard library only.

    with Client("model-server", token=read_token).open("GET", url) as response: ...
    Client("agent").get(url, most=1 << 20)
    Client("agent").download(url, target, digest="sha256:…", size=123)
    patiently(lambda: client.download(url, target, digest=digest), patience=600)

Proxies of the environment are not used: they are for the internet, and this is traffic inside the
cluster. The bearer never follows a redirect to another scheme, host or port. A server by TLS is
checked by the authority that the client is given, or by the machine's own.
"""

import hashlib
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from trainyard_api import authority, connections

T = TypeVar("T")

CHUNK: Final = 1 << 20
SILENCE_SECONDS: Final = 30.0
"""How long a socket may say nothing, by default: that of one answer, not of a whole transfer."""
_BUSY: Final = frozenset({408, 425, 429})
_LONGEST_PAUSE: Final = 15.0
_LONGEST_WISH: Final = 60.0
_TOLD_BYTES: Final = 4096


# ruff: noqa: N818  # named for what happened, not for being errors
class Away(Exception):
    """The service is down, busy or broke off: the same call may succeed later.

    Attributes:
        retry_after: Seconds that the service asks to wait, 0 if it said nothing.
        progress: Something arrived that will not be asked for again.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, progress: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.progress = progress


class Refused(Exception):
    """The service answered with a status that asking again won't change.

    Attributes:
        status: The HTTP status.
        told: What the service said, its `message` if it sent one.
    """

    def __init__(self, status: int, told: str, url: str) -> None:
        super().__init__(f"{url} answered {status}: {told}")
        self.status = status
        self.told = told


class Corrupt(Exception):
    """What arrived, whole and from its first byte on, is not what the digest or size says."""


class _SameOriginCredentials(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but carry the token to the same scheme, host and port only."""

    def redirect_request(  # noqa: PLR0917  # the standard library's signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and _origin(newurl) != _origin(req.full_url):
            following.remove_header("Authorization")
        return following


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    """Return an opener of HTTP alone: no proxies, and no files or FTP behind a redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        connections.Plain(),
        connections.ByTLS(context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _SameOriginCredentials(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER: Final = _opener(None)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks.

    Attributes:
        agent: Name for the service's logs.
        token: Returns the bearer, read anew for each request; "" for none.
        silence: Seconds that the socket may say nothing.
        ca_file: Of the authorities that a server is checked by, read anew for each request; "" for
            the machine's own.
    """

    agent: str
    token: Callable[[], str] = str
    silence: float = SILENCE_SECONDS
    ca_file: str = ""

    def open(
        self,
        method: str,
        url: str,
        *,
        data: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> HTTPResponse:
        """Return the response, to be closed by the caller; read it by `read`.

        Args:
            data: The body; a stream needs a Content-Length in `headers`.
            silence: Seconds of silence for this request instead of the client's.

        Raises:
            Away: Refused connection, time-out, 408, 425, 429 or 5xx.
            Refused: Any other status that is no success.
            ValueError: The URL is not one of HTTP.
        """
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(f"{url!r} is not an http URL")
        sent = {"User-Agent": f"trainyard-{self.agent}", **(headers or {})}
        if token := self.token():
            sent["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(url, data=data, headers=sent, method=method)  # noqa: S310  # checked above
        try:
            response = self._opener().open(request, timeout=silence or self.silence)
        except urllib.error.HTTPError as exc:
            with exc:
                raise _translated(exc, url) from exc
        except (OSError, HTTPException) as exc:
            reason = _reason(exc)
            advice = authority.advice(reason, self.ca_file, url=url)
            raise Away(f"{url} does not answer: {reason}{advice}") from exc
        return cast("HTTPResponse", response)

    def _opener(self) -> urllib.request.OpenerDirector:
        if not self.ca_file:
            return _OPENER
        return _opener(authority.trusting(authority.read(self.ca_file)))

    def get(self, url: str, *, most: int) -> bytes:
        """Return a document whole; of a longer one the first `most` bytes and some.

        Raises:
            Away: As `open`, or it broke off.
            Refused: As `open`.
        """
        body = bytearray()
        with self.open("GET", url) as response:
            while len(body) <= most and (chunk := read(response, CHUNK)):
                body += chunk
            told = response.headers.get("Content-Length")
        if told is not None and len(body) < min(int(told), most):
            raise Away(f"{url} broke off at {len(body)} of {told} bytes")
        return bytes(body)

    def download(
        self,
        url: str,
        target: Path,
        *,
        digest: str = "",
        size: int | None = None,
        told: Callable[[int, int], None] = lambda done, size: None,
    ) -> int:
        """Stream a file to the target, which appears once it is whole; return its bytes.

        With a digest, what an earlier call left in `<target>.part` is not asked for again.

        Args:
            digest: `sha256:` and 64 hex digits that it must have.
            size: Bytes that it must have; not one chunk more is read.
            told: Hears after each chunk how many bytes are there, and of how many (0: unknown).

        Raises:
            Away: As `open`, or it broke off; what came is kept if there is a digest.
            Refused: As `open`.
            Corrupt: It is not what digest or size says; nothing is kept.
            OSError: It can't be written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        with part.open("a+b" if digest else "w+b") as file:
            found = _Partial(file, size, told)
            begun = found.bytes
            try:
                if size is None or begun < size:
                    self._continue(url, found)
            except BaseException:
                if not (digest and found.bytes):
                    part.unlink()
                raise
        got = f"sha256:{found.hash.hexdigest()}"
        wrong = size is not None and found.bytes != size
        if wrong or (digest and got != digest):
            part.unlink()
            if begun:
                raise Away(f"{url}: what an earlier try left was not right", progress=True)
            raise Corrupt(f"{url} came as {got} of {found.bytes} bytes, expected {digest or size}")
        part.replace(target)
        return found.bytes

    def _continue(self, url: str, found: "_Partial") -> None:
        """Fetch what is missing; from the start if the service can't begin in the middle."""
        begun = found.bytes
        wanted = {"Range": f"bytes={begun}-"} if begun else {}
        try:
            response = self.open("GET", url, headers=wanted)
        except Refused as exc:
            if not begun or exc.status != 416:
                raise
            found.restart()
            response = self.open("GET", url)
        with response:
            begins = response.headers.get("Content-Range", "").startswith(f"bytes {begun}-")
            if begun and not (response.status == 206 and begins):
                found.restart()
            there = found.bytes
            try:
                found.take(response)
            except Away as exc:
                raise Away(f"{url} {exc}", progress=found.bytes > begun) from exc
            told = response.headers.get("Content-Length")
        # A body without a length that is too short ended by the connection's end.
        expected = found.limit if told is None else there + int(told)
        too_long = found.limit is not None and found.bytes > found.limit
        if expected is not None and found.bytes < expected and not too_long:
            broke = f"{url} broke off at {found.bytes} of {expected} bytes"
            raise Away(broke, progress=found.bytes > begun)


class _Partial:
    """A file under way: how much is there, and the hash of it."""

    def __init__(
        self, file: IO[bytes], limit: int | None, told: Callable[[int, int], None]
    ) -> None:
        self._file = file
        self._told = told
        self.limit = limit
        self.bytes = 0
        self.hash = hashlib.sha256()
        file.seek(0)
        while chunk := file.read(CHUNK):
            self.hash.update(chunk)
            self.bytes += len(chunk)
            told(self.bytes, limit or 0)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.bytes, self.hash = 0, hashlib.sha256()

    def take(self, response: HTTPResponse) -> None:
        """Append the body, at most one chunk beyond the limit."""
        limit = self.limit
        left = response.length
        size = limit or (self.bytes + left if left else 0)
        while (limit is None or self.bytes <= limit) and (chunk := read(response, CHUNK)):
            self._file.write(chunk)
            self.hash.update(chunk)
            self.bytes += len(chunk)
            self._told(self.bytes, size)


def read(response: HTTPResponse, most: int) -> bytes:
    """Return the next bytes of a body, b"" at its end.

    Raises:
        Away: The connection broke or went silent.
    """
    try:
        return response.read(most)
    except (OSError, HTTPException) as exc:
        raise Away(f"broke off: {_reason(exc)}") from exc


def patiently(
    attempt: Callable[[], T],
    *,
    patience: float,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Repeat a call while the service is away, with pauses of 0.5 s that double up to 15 s.

    Args:
        patience: Seconds without progress, attempts included, after which it gives up.
        say: Told each wait, in one line.

    Raises:
        Away: The last one, when the patience is used up. Anything else goes through at once.
    """
    since, pause = clock(), 0.5
    while True:
        try:
            return attempt()
        except Away as exc:
            if exc.progress:
                since, pause = clock(), 0.5
            elif clock() - since >= patience:
                raise
            wait = max(pause, min(exc.retry_after, _LONGEST_WISH))
            say(f"{exc}; trying again in {wait:g} s")
        sleep(wait)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _translated(exc: urllib.error.HTTPError, url: str) -> Exception:
    told = _told(exc)
    if exc.code >= 500 or exc.code in _BUSY:
        wish = exc.headers.get("Retry-After", "") if exc.headers else ""
        after = float(wish) if wish.isdecimal() else 0.0
        return Away(f"{url} answered {exc.code}: {told}", retry_after=after)
    return Refused(exc.code, told, url)


def _told(exc: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(exc.read(_TOLD_BYTES))["message"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError):
        return str(exc.reason)


def _reason(exc: BaseException) -> object:
    return getattr(exc, "reason", None) or exc or type(exc).__name__
