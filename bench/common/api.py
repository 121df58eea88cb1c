"""A small client of the API server: JSON, the texts of /metrics, and watches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from trainyard_operator.engine.access import Access, find_access

Object = dict[str, Any]


class BenchError(Exception):
    """The bench cannot go on; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API server, as $KUBECONFIG's user sees it."""

    access: Access
    session: aiohttp.ClientSession

    async def text(
        self, path: str, *, method: str = "GET", body: Object | None = None, kind: str = "json"
    ) -> str:
        """Send a request; return the answer as it is.

        Raises:
            BenchError: The API server refused, or did not answer.
        """
        data = None if body is None else orjson.dumps(body)
        content = {"Content-Type": f"application/{kind}"} if data else {}
        headers = self.access.headers() | content
        url = self.access.server + path
        try:
            async with self.session.request(method, url, data=data, headers=headers) as response:
                answer = await response.text()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise BenchError(f"{method} {path}: {str(exc) or type(exc).__name__}") from exc
        if response.status >= 400:
            raise BenchError(f"{method} {path}: {response.status} {answer[:300]}")
        return answer

    async def get(self, path: str) -> Object:
        """Read an object or a list."""
        found: Object = orjson.loads(await self.text(path))
        return found

    async def create(self, path: str, body: Object) -> Object:
        """Create an object in a collection."""
        made: Object = orjson.loads(await self.text(path, method="POST", body=body))
        return made

    async def patch(self, path: str, body: Object) -> Object:
        """Merge a patch into an object."""
        kind = "merge-patch+json"
        found: Object = orjson.loads(await self.text(path, method="PATCH", body=body, kind=kind))
        return found

    async def delete(self, path: str) -> None:
        """Delete an object, or what a label selector finds; in the background."""
        await self.text(path, method="DELETE")

    async def watch(self, path: str, version: str, selected: str = "") -> AsyncIterator[Object]:
        """Yield the events of a collection after a resource version, until it is closed."""
        since = f"watch=1&resourceVersion={version}&timeoutSeconds=3000"
        url = f"{self.access.server}{path}?{since}&{selected}"
        limits = aiohttp.ClientTimeout(total=None)
        headers = self.access.headers()
        async with self.session.get(url, headers=headers, timeout=limits) as response:
            async for line in response.content:
                yield orjson.loads(line)


@asynccontextmanager
async def connected() -> AsyncIterator[Api]:
    """Connect as $KUBECONFIG says."""
    access = find_access()
    connector = aiohttp.TCPConnector(limit=0, ssl=access.ssl_context or True)
    limits = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        yield Api(access, session)


async def until(
    check: Callable[[], Awaitable[bool]], *, what: str, seconds: float = 120, every: float = 0.5
) -> None:
    """Wait until a check holds; an API server that is away does not hold.

    Raises:
        BenchError: It does not within *seconds*.
    """
    loop = asyncio.get_running_loop()
    deadline, last = loop.time() + seconds, ""
    while loop.time() < deadline:
        try:
            if await check():
                return
        except BenchError as exc:
            last = f" ({exc})"
        await asyncio.sleep(every)
    raise BenchError(f"{what}: not within {seconds:.0f} s{last}")


@asynccontextmanager
async def namespace(api: Api, name: str, *, gone_in: float = 600) -> AsyncIterator[str]:
    """Give a namespace in which pods can be made; take it away, and wait until it is gone."""
    path = f"/api/v1/namespaces/{name}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await api.create("/api/v1/namespaces", body)
    try:
        account = f"{path}/serviceaccounts/default"
        await until(lambda: _exists(api, account), what=f"{account} exists")
        yield name
    finally:
        await api.delete(path)
        await until(lambda: _is_gone(api, path), what=f"{path} is gone", seconds=gone_in, every=1)


async def _exists(api: Api, path: str) -> bool:
    return bool(await api.get(path))


async def _is_gone(api: Api, path: str) -> bool:
    name = path.rpartition("/")[2]
    found = await api.get(f"/api/v1/namespaces?fieldSelector=metadata.name={name}")
    return not found["items"]
