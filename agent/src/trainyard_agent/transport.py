"""The agent's talks with the tracking service: streamed both ways, patient while it is down.

The only module of the agent that opens a connection. A service that is away is tried again until
nothing has moved for as long as the patience lasts; each wait, and how far a large file is, is
told on stdout, which is the container's log. What was cut off goes on from where it was.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from trainyard_api import transfer
from trainyard_api.progress import Told
from trainyard_api.slices import Window, content_range, send
from trainyard_api.transfer import Away, Client, Corrupt, Refused, patiently

from trainyard_agent.errors import RefusedError, SourceError, TransportError

CHUNK = 1 << 20
_MOST_JSON = 64 << 20
_ANSWER_SECONDS = 300.0
"""How long a PUT may be without an answer: the object store puts a large file together."""
_FINAL = {413: "TooLarge", 422: "ContentRefused"}
"""What is said of the content itself, so that a repeat would be told the same."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tracking:
    """The tracking service, as one namespace's token sees it.

    Attributes:
        base: Service URL followed by `/api/trainyard/v1/namespaces/<namespace>`.
        token: Bearer token.
        patience: Seconds without progress after which it gives up.
        ca_file: The authority of the service's certificate; "" for the machine's own.
    """

    base: str
    token: str
    patience: float = 600.0
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    ca_file: str = ""

    def json(self, path: str) -> dict[str, Any]:
        """GET a JSON object."""
        url = self.base + path
        return self._patiently(lambda: _document(self._client.get(url, most=_MOST_JSON), url))

    def download(self, path: str, target: Path, *, digest: str = "") -> int:
        """Stream a file to the target and return its size, checking its sha256 if given.

        Raises:
            SourceError: The content is not what the digest says.
        """
        url = self.base + path
        told = Told(target.name, self.say)
        if digest:
            return self._patiently(
                lambda: self._client.download(url, target, digest=digest, told=told)
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            under = _Download(self._client, url, file, told)
            return self._patiently(under.go_on)

    def upload(self, path: str, content: Path, *, size: int) -> bool:
        """Send a file to the path of its digest, but for what is there; tell if that was any."""
        with content.open("rb") as file:
            under = _Upload(self._client, self.base + path, file, size, Told(path, self.say))
            return self._patiently(under.go_on)

    def put(self, path: str, content: bytes) -> None:
        """PUT a small document; again is harmless."""
        headers = {"Content-Type": "application/octet-stream"}
        self._patiently(
            lambda: self._client.open(
                "PUT", self.base + path, data=content, headers=headers, silence=_ANSWER_SECONDS
            ).close()
        )

    @property
    def _client(self) -> Client:
        return Client("agent", token=lambda: self.token, ca_file=self.ca_file)

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        try:
            return patiently(
                attempt,
                patience=self.patience,
                say=self.say,
                sleep=self.sleep,
                clock=self.clock,
            )
        except Away as exc:
            raise TransportError(
                f"{self.base} did not answer for {int(self.patience)} s ({exc}): see"
                " whether the tracking service's pod is ready"
            ) from exc
        except Refused as exc:
            raise _translated(exc) from exc
        except Corrupt as exc:
            raise SourceError(f"{exc}: upload it again", reason="DigestMismatch") from exc


class _Upload:
    """A file on its way to the service, over as many attempts as it takes."""

    def __init__(
        self, client: Client, url: str, file: IO[bytes], size: int, told: Callable[[int, int], None]
    ) -> None:
        self._client = client
        self._url = url
        self._file = file
        self._size = size
        self._told = told
        self._there = 0
        self._has_moved = False
        self._is_resumed = False

    def go_on(self) -> bool:
        self._has_moved = False
        try:
            return send(self._size, ask=self._ask, put=self._put, told=self._moved)
        except Away as exc:
            exc.progress = exc.progress or self._has_moved
            raise

    def _ask(self) -> tuple[bool, int]:
        url = f"{self._url}/upload"
        found = _document(self._client.get(url, most=CHUNK), url)
        offset = _number(found, url)
        self._is_resumed = self._is_resumed or offset > 0
        self._reach(offset)
        return bool(found.get("complete")), offset

    def _put(self, begin: int, end: int) -> int | None:
        headers = content_range(begin, end, self._size)
        # Read by http.client as any file is; typing knows no smaller protocol.
        data = cast("IO[bytes]", Window(self._file, begin, end))
        try:
            with self._client.open(
                "PUT", self._url, data=data, headers=headers, silence=_ANSWER_SECONDS
            ) as response:
                return _offset(response, self._url)
        except Refused as exc:
            if exc.status == 409:
                raise Away(exc.told) from exc
            if exc.status == 422 and self._is_resumed:
                # What another left there was not this file; it is gone now.
                self._is_resumed = False
                raise Away(exc.told) from exc
            raise

    def _moved(self, offset: int) -> None:
        self._reach(offset)
        self._told(offset, self._size)

    def _reach(self, offset: int) -> None:
        # Further than before, not than ever: a service that was replaced has it begin anew.
        self._has_moved = self._has_moved or offset > self._there
        self._there = offset


def _offset(response: HTTPResponse, url: str) -> int | None:
    """Read how much the service has of a file; None if all."""
    if response.status != 202:
        return None
    return _number(_document(transfer.read(response, CHUNK), url), url)


def _number(found: Mapping[str, Any], url: str) -> int:
    """Read how far the service is."""
    offset = found.get("offset")
    if not isinstance(offset, int) or offset < 0:
        raise Away(f"{url} does not say how far it is: does something else answer there?")
    return offset


def _document(raw: bytes, url: str) -> dict[str, Any]:
    """Read a JSON object; what is none was cut off, or said by something before the service."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Away(f"{url} answered with no JSON object: does something else answer there?")
    return found


class _Download:
    """A file whose digest nobody knows, over as many attempts as it takes.

    The service tags each state of a file: it goes on only in the state that it began with.
    """

    def __init__(
        self, client: Client, url: str, file: IO[bytes], told: Callable[[int, int], None]
    ) -> None:
        self._client = client
        self._url = url
        self._file = file
        self._told = told
        self._tag = ""
        self._size = 0

    def go_on(self) -> int:
        there = self._file.tell()
        headers = {"Range": f"bytes={there}-", "If-Range": self._tag} if self._tag else {}
        with self._client.open("GET", self._url, headers=headers) as response:
            if response.status != 206:
                there = 0
                self._file.seek(0)
                self._file.truncate()
                self._begin(response.headers)
            # What came through a proxy may have had no length at first.
            if response.length is not None:
                self._size = there + response.length
            try:
                self._take(response)
            except Away as exc:
                exc.progress = self._file.tell() > there
                raise
        if self._file.tell() < self._size:
            broke = f"{self._url} was cut off after {self._file.tell()} of {self._size} bytes"
            raise Away(broke, progress=self._file.tell() > there)
        return self._file.tell()

    def _begin(self, headers: HTTPMessage) -> None:
        self._size = 0
        tag = headers.get("ETag", "")
        self._tag = tag if headers.get("Accept-Ranges") == "bytes" else ""

    def _take(self, response: HTTPResponse) -> None:
        while chunk := transfer.read(response, CHUNK):
            self._file.write(chunk)
            self._told(self._file.tell(), self._size)


def _translated(exc: Refused) -> Exception:
    if exc.status in {401, 403}:
        return TransportError(str(exc), reason="TokenRefused")
    if exc.status == 404:
        return SourceError(str(exc), reason="SourceMissing")
    if exc.status in _FINAL:
        said = f"the tracking service refused it ({exc.status}): {exc.told}"
        return RefusedError(said, reason=_FINAL[exc.status])
    return TransportError(str(exc), reason="TrackingRefused")
