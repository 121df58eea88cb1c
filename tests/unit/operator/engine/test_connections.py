"""What is endless or slow takes no place of what must be quick, by a real server."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from trainyard_operator.engine import connections, objects, watch
from trainyard_operator.engine import kube as kubes
from trainyard_operator.engine import lease as leases
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.errors import NameTaken, Unavailable, Unheard
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.lease import Lease
from trainyard_operator.engine.plan import Ref

POD = Ref("v1", "Pod", "t", "p", "uid")


class Server:
    """A lease, logs that never end, and pods that are deleted or not."""

    def __init__(self) -> None:
        self.versions = itertools.count(1)
        self.renewals = self.deletions = 0
        self.watched: dict[str, str] = {}
        self.end = asyncio.Event()

    async def lease(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"kind": "Status", "message": "none"}, status=404)
        self.renewals += 1
        body = await request.json()
        body["metadata"]["resourceVersion"] = str(next(self.versions))
        return web.json_response(body)

    async def log(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"2026-11-24T10:00:00Z line\n")
        await self.end.wait()
        return response

    async def pods(self, request: web.Request) -> web.StreamResponse:
        self.watched = dict(request.query)
        response = web.StreamResponse()
        await response.prepare(request)
        events = b"".join(b'{"type": "%c", "object": {}}\n' % each for each in b"XYZ")
        for part in (events[:20], events[20:-9], events[-9:]):
            await response.write(part)
            await asyncio.sleep(0.01)
        await response.write(b'{"type": "' + b"x" * 1_000_000 + b'", "object": {}}\n')
        return response

    async def login(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/api/v1/namespaces/t/pods/p/log")

    async def apply(self, request: web.Request) -> web.Response:
        made = orjson.loads(await request.read())
        made["metadata"]["labels"].pop(next(iter(objects.MANAGED_BY)), None)
        return web.json_response(made)

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)

    async def delete(self, _: web.Request) -> web.Response:
        self.deletions += 1
        return web.json_response({})


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Access]]:
    made = Server()
    app = web.Application()
    for path in ("leases", "leases/l"):
        app.router.add_route("*", f"/apis/coordination.k8s.io/v1/namespaces/n/{path}", made.lease)
    app.router.add_get("/api/v1/namespaces/t/pods/{pod}/log", made.log)
    app.router.add_get("/api/v1/namespaces/t/pods", made.pods)
    app.router.add_get("/api/v1/namespaces/away/pods/{pod}/log", made.login)
    app.router.add_get("/api/v1/namespaces/endless/pods", made.endless)
    app.router.add_patch("/apis/apps/v1/namespaces/t/deployments/d", made.apply)
    app.router.add_delete("/api/v1/namespaces/t/pods/p", made.delete)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    yield made, Access(f"http://127.0.0.1:{runner.addresses[0][1]}")
    made.end.set()
    await runner.cleanup()


async def test_the_lease_and_writes_go_on_beside_300_log_streams(
    server: tuple[Server, Access], monkeypatch: Any
) -> None:
    monkeypatch.setattr(leases, "EVERY", 0)
    made, access = server
    async with connections.connect(access, "http://tracking") as opened:
        lease = Lease(
            Kube(access, opened.lease, opened.streams), namespace="n", name="l", identity="a"
        )
        kube = Kube(access, opened.api, opened.streams, time_to_write=lease.time_to_write)
        assert await lease.try_acquire()
        opening = [_open(kube, n) for n in range(300)]
        async with asyncio.timeout(20):
            streams = await asyncio.gather(*opening)
            keeping = asyncio.create_task(lease.keep())
            before = made.renewals
            while made.renewals < before + 3:
                await kube.delete(POD)
        keeping.cancel()
        assert made.deletions > 0
        for each in streams:
            await each.aclose()


async def _open(kube: Kube, n: int) -> Any:
    async def read() -> AsyncIterator[bytes]:
        async with kube.log("t", f"p{n}", container="main") as stream:
            yield await stream.readany()
            yield b""

    reading = read()
    await anext(reading)
    return reading


async def test_who_has_no_time_left_to_write_sends_nothing(server: tuple[Server, Access]) -> None:
    made, access = server
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams, time_to_write=lambda: 0.0)
        with pytest.raises(Unavailable, match="lease"):
            await kube.delete(POD)

    assert made.deletions == 0


async def test_a_server_that_is_not_there_says_nothing() -> None:
    access = Access("http://127.0.0.1:1")
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams)
        with pytest.raises(Unheard):
            await kube.read(POD)
        with pytest.raises(Unheard):
            async with kube.log("t", "p", container="main"):
                pass


async def test_a_page_that_a_proxy_leads_to_is_no_log(server: tuple[Server, Access]) -> None:
    _, access = server
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams)
        with pytest.raises(Unavailable):
            async with kube.log("away", "p", container="main"):
                pass


async def test_kopfs_watches_have_no_limit_and_no_proxy() -> None:
    session = watch.session(Access("http://server"))
    assert session.connector is not None
    assert (session.connector.limit, session.trust_env) == (0, False)
    await session.close()


async def test_events_are_read_however_they_are_cut_and_however_long_they_are(
    server: tuple[Server, Access],
) -> None:
    made, access = server
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams)
        watching = kube.watch("v1", "Pod", "t", since=7, labelSelector="a=b")
        seen = [event async for events in watching for event in events]

    assert seen[:3] == [{"type": each, "object": {}} for each in "XYZ"]
    assert len(seen[3]["type"]) == 1_000_000
    assert made.watched["resourceVersion"] == "7"
    assert made.watched["labelSelector"] == "a=b"


async def test_a_line_without_an_end_ends_a_watch(
    server: tuple[Server, Access], monkeypatch: Any
) -> None:
    monkeypatch.setattr(kubes, "_LONGEST_LINE", 100_000)
    _, access = server
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams)
        with pytest.raises(Unavailable, match="a line has no end"):
            async for _ in kube.watch("v1", "Pod", "endless", since=7):
                pass


@pytest.mark.parametrize("write", [Kube.apply, Kube.claim])
async def test_a_policy_that_takes_our_label_off_what_is_applied_is_named(
    write: Any, server: tuple[Server, Access]
) -> None:
    _, access = server
    meta = {"name": "d", "namespace": "t", "labels": dict(objects.MANAGED_BY)}
    async with connections.connect(access, "http://tracking") as opened:
        kube = Kube(access, opened.api, opened.streams)
        with pytest.raises(NameTaken, match="has lost its label") as caught:
            await write(kube, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta})

    assert caught.value.reason == "DeploymentNameTaken"
