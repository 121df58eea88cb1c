"""Reads the bodies of requests: bounded each, and bounded all together.

What is read here is held in memory until the request is answered, and is some ten times as large
once it is parsed; so it is counted, whoever sends it.
"""

import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from anyio import fail_after
from starlette.types import Receive

from trainyard_tracking.errors import Busy, Refused, TooLarge, Unavailable

SHARE = "trainyard.share"
"""Where the share of a request is left in the ASGI scope, for handlers that read a body."""
SPANS = "/v1/traces"
UPLOAD = "/api/2.0/mlflow/upload-artifact"
GRAPHQL = "/graphql"
_JSON = 4 << 20
_LARGEST = {
    SPANS: 16 << 20,
    # MLflow's own limit for a file that comes from the UI is 10 MiB.
    UPLOAD: 11 << 20,
    # A question of the UI's, which is parsed by itself.
    GRAPHQL: 64 << 10,
}
_SECONDS = 120.0
_PACE_SECONDS = 15.0
"""A body that brings nothing for so long is given up, and one that falls below the pace in it."""
_PACE = 16 << 10
"""Bytes a second."""
_AGAIN = 5
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def largest(template: str) -> int:
    """Tell how many bytes a body of this route may have."""
    return _LARGEST.get(template, _JSON)


@dataclass(slots=True)
class Budget:
    """The bytes of all bodies under way, and how many requests there may be at once."""

    most: int = 128 << 20
    requests: int = 4096
    held: int = 0
    under_way: int = 0
    by_owner: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def request(self) -> Iterator["Share"]:
        """Give a request its share, and take it back when it is over."""
        share = Share(self)
        try:
            yield share
        finally:
            self.under_way -= share.counted
            self.held -= share.held
            for owner in share.owners if share.held else ():
                self.by_owner[owner] -= share.held
                if not self.by_owner[owner]:
                    del self.by_owner[owner]


@dataclass(slots=True)
class Share:
    """What one request holds of the budget."""

    budget: Budget
    held: int = 0
    counted: int = 0
    owners: tuple[str, ...] = ()
    """Who each may have half of the budget; set before anything is taken."""

    def count(self) -> None:
        """Count the request.

        Raises:
            Busy: too many are under way.
        """
        if self.budget.under_way >= self.budget.requests:
            raise _busy()
        self.budget.under_way += 1
        self.counted = 1

    def take(self, size: int) -> None:
        """Hold as many bytes more.

        Raises:
            Busy: all bodies together would be too large, or those of one owner.
        """
        budget = self.budget
        held = {owner: budget.by_owner.get(owner, 0) + size for owner in self.owners}
        if budget.held + size > budget.most or any(of > budget.most // 2 for of in held.values()):
            raise _busy()
        budget.by_owner.update(held)
        budget.held += size
        self.held += size


async def read(receive: Receive, stated: str, most: int, share: Share) -> bytes:
    """Read a body whose Content-Length is `stated`.

    Raises:
        TooLarge: it has more than `most` bytes.
        Busy: there is no memory for it at the moment.
        Unavailable: it did not come to its end.
    """
    if stated.isdigit() and int(stated) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    try:
        with fail_after(_SECONDS):
            async for chunk in _steady(receive):
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                share.take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise Unavailable(f"The body did not come within {_SECONDS:.0f} s: send it again") from None
    return b"".join(chunks)


async def _steady(receive: Receive) -> AsyncIterator[bytes]:
    """Read on as long as enough comes: what has come is held meanwhile."""
    since, brought, more = monotonic(), 0, True
    while more:
        try:
            with fail_after(_PACE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise Unavailable(
                f"Nothing of the body came for {_PACE_SECONDS:g} s: send it again"
            ) from None
        if message["type"] == "http.disconnect":
            raise Unavailable("The client went away in the middle of its request")
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        brought += len(chunk)
        passed = monotonic() - since
        if more and passed >= _PACE_SECONDS:
            if brought < _PACE * passed:
                raise Unavailable(f"The body comes too slowly: send {_PACE >> 10} KiB a second")
            since, brought = monotonic(), 0
        yield chunk


def inflated(raw: bytes, encoding: str, most: int) -> bytes:
    """Unpack a body; a few bytes may be packed gigabytes.

    Raises:
        Refused: it is packed in another way than it says.
        TooLarge: it has more than `most` bytes.
    """
    if encoding not in _WINDOWS:
        raise Refused(f"Content-Encoding {encoding!r} is not known: use gzip or deflate")
    for window in (_WINDOWS[encoding], -zlib.MAX_WBITS):
        packed = zlib.decompressobj(window)
        try:
            found = packed.decompress(raw, most + 1)
        except zlib.error:
            continue
        if len(found) > most:
            raise _too_large(most)
        return found
    raise Refused(f"The body is not in {encoding}, which its Content-Encoding says")


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"This request may have {most >> 20} MiB; files go to the artifact routes")


def _busy() -> Busy:
    return Busy(f"Too much is sent at the moment: try again in {_AGAIN} s", _AGAIN)
