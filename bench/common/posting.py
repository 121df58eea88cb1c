"""Many objects created at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from api import Api, Object

CLIENTS = 16
T = TypeVar("T")


async def in_parallel(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Do something for each, a few at a time."""
    rest = iter(items)

    async def client() -> None:
        for item in rest:
            await work(item)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def post(api: Api, path: str, bodies: Iterable[Object]) -> dict[str, float]:
    """Create objects; return when each was asked for, by name."""
    asked: dict[str, float] = {}

    async def create(body: Object) -> None:
        asked[body["metadata"]["name"]] = time.time()
        await api.create(path, body)

    await in_parallel(bodies, create)
    return asked
