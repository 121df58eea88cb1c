"""Large files as they are sent."""

import hashlib
from collections.abc import AsyncIterator

from trainyard_tracking.objects import PART


def content(seed: str, size: int = 2 * PART + 100) -> tuple[bytes, str]:
    data = (seed.encode() * (size // len(seed) + 1))[:size]
    return data, hashlib.sha256(data).hexdigest()


async def chunks(data: bytes, end: Exception | None = None) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), 1 << 20):
        yield data[begin : begin + (1 << 20)]
    if end is not None:
        raise end
