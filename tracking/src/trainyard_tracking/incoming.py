"""Bodies of requests as they come in: cut into parts, and held to what they said of themselves."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from anyio import fail_after
from starlette.requests import ClientDisconnect
from trainyard_api.slices import PART

from trainyard_tracking.errors import Refused, TooLarge, Unavailable

_SILENCE_SECONDS = 60.0
_GRACE_SECONDS = 60.0
_PACE = PART / 60
"""Bytes a second that a part must bring, beyond the grace: 8 MiB a minute."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How many bytes a body has at most; exactly so many if it stated them."""

    most: int
    is_stated: bool = True


async def parts(stream: AsyncIterator[bytes], size: int, bound: Bound) -> AsyncIterator[bytes]:
    """Cut a stream into parts, the last as large as it comes.

    Raises:
        TooLarge, Refused: it has more bytes than it may, or than it said.
        Unavailable: it stopped before its end.
    """
    most, is_stated = bound.most, bound.is_stated
    taken, filled = 0, bytearray()
    begun = time.monotonic()
    async for chunk in _steady(stream):
        taken += len(chunk)
        if taken > most:
            wrong = f"The body has more than {most} bytes; with Content-Length it may have more"
            raise Refused(f"The body has more than {most} bytes") if is_stated else TooLarge(wrong)
        filled += chunk
        while len(filled) >= size:
            yield bytes(memoryview(filled)[:size])
            del filled[:size]
            begun = time.monotonic()
        if time.monotonic() - begun > _GRACE_SECONDS + len(filled) / _PACE:
            raise Unavailable("The body comes too slowly: send 8 MiB a minute at least")
    if is_stated and taken < most:
        raise Unavailable(f"The body ended after {taken} of {most} bytes: send it again")
    if filled:
        yield bytes(filled)


async def _steady(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Read on as long as something comes."""
    chunks = aiter(stream)
    while True:
        try:
            with fail_after(_SILENCE_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise Unavailable("The client went away in the middle of a file") from None
        except TimeoutError:
            raise Unavailable(f"Nothing came for {_SILENCE_SECONDS:g} s: send it again") from None
        yield chunk


async def whole(stream: AsyncIterator[bytes], size: int) -> bytes:
    """Read a small body whole; raises as `parts` does."""
    return b"".join([part async for part in parts(stream, PART, Bound(size))])
