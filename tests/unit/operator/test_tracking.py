"""The tracking service down, hung and back, by a real server in this process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from trainyard_api.contract import READY_ROUTE, TRACKING_ANSWERS
from trainyard_operator import tracking
from trainyard_operator.engine import connections
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.breaker import Breaker
from trainyard_operator.engine.errors import Unavailable
from trainyard_operator.names import Log
from trainyard_operator.tracking import TrackingClient


class Service:
    """Answers as it is told to; counts."""

    def __init__(self) -> None:
        self.asked = self.inside = self.most = 0
        self.code = 200
        self.body: bytes | None = None
        self.headers = {"Upload-Offset": "1"}
        self.paths: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.asked += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.go_on.wait()
        finally:
            self.inside -= 1
        body = b'{"runID":"r"}' if self.body is None else self.body
        return web.Response(body=body, status=self.code, headers=self.headers)


class Scene:
    """A client, its service and a clock for the breaker."""

    def __init__(self, client: TrackingClient, service: Service, clock: list[float]) -> None:
        self.client, self.service, self.clock = client, service, clock

    async def ask(self, times: int) -> list[Any]:
        calls = (self.client.put_run("team", f"r{n}", {}) for n in range(times))
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    service, clock = Service(), [0.0]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with connections.connect(Access(url), url) as opened:
        breaker = Breaker(monotonic=lambda: clock[0], jitter=lambda: 0.0)
        client = TrackingClient(
            opened.tracking, url=url, token_file=Path("/none"), breaker=breaker, jitter=lambda: 0.5
        )
        yield Scene(client, service, clock)
    service.go_on.set()
    await runner.cleanup()


async def test_a_service_that_hangs_is_asked_by_few_and_all_are_told_the_same(
    scene: Scene, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tracking, "_PATIENCE", 0.05)
    scene.service.go_on.clear()
    async with asyncio.timeout(5):
        told = await scene.ask(500)

    assert scene.service.asked <= tracking.CALLS
    assert all(isinstance(each, Unavailable) for each in told)
    assert len({each.message for each in told}) == 1
    assert {each.after.total_seconds() for each in told} == {7.5}


async def test_a_service_that_stays_hung_costs_few_requests(scene: Scene, monkeypatch: Any) -> None:
    monkeypatch.setattr(tracking, "_PATIENCE", 0.05)
    scene.service.go_on.clear()
    await scene.ask(50)
    before = scene.service.asked
    for second in range(10):
        scene.clock[0] = float(second)
        await scene.ask(50)

    assert scene.service.asked - before <= 4


async def test_the_log_says_why_it_is_not_asked_and_that_it_answers_again(
    scene: Scene, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(tracking, "_PATIENCE", 0.05)
    scene.service.go_on.clear()
    await scene.ask(5)
    scene.service.go_on.set()
    scene.clock[0] = 10.0
    await scene.ask(5)

    first, second = [each.getMessage() for each in caplog.records]
    assert first.endswith("TimeoutError")
    assert second == "the tracking service answers again"


async def test_a_service_that_is_back_is_used_by_all(scene: Scene) -> None:
    scene.service.code = 503
    await scene.ask(5)
    scene.service.code = 200
    assert all(isinstance(each, Unavailable) for each in await scene.ask(5))

    scene.clock[0] = 10.0
    await scene.ask(1)
    assert await scene.ask(5) == [{"runID": "r"}] * 5


async def test_calls_at_the_same_time_are_bounded(scene: Scene) -> None:
    assert await scene.ask(100) == [{"runID": "r"}] * 100
    assert scene.service.most <= tracking.CALLS


async def test_one_call_that_the_service_cannot_bear_cuts_off_no_other(scene: Scene) -> None:
    scene.service.code = 500
    (told,) = await scene.ask(1)
    scene.service.code = 200

    assert "with 500" in told.message
    assert await scene.ask(1) == [{"runID": "r"}]


async def test_the_log_of_the_first_pod_is_the_attempts_and_others_have_their_own(
    scene: Scene,
) -> None:
    await scene.client.log_offset(Log("team", "f", 1, 0))
    await scene.client.append_log(Log("team", "f", 1, 12), offset=0, reached="", data=b"x")

    first, other = (path.partition("/runs/f/")[2] for path in scene.service.paths)
    assert (first, other) == ("logs/1", "logs/1/12")


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (200, b"[]"),
        (200, b"null"),
        (200, b'"x"'),
        (200, b"<html>"),
        (302, b""),
        (308, b"{}"),
        (400, b"<html>"),
        (404, b""),
        (404, b"default backend - 404"),
        (409, b"[1]"),
    ],
)
async def test_what_a_proxy_says_in_place_of_the_service_counts_as_no_answer(
    scene: Scene, code: int, body: bytes
) -> None:
    scene.service.code, scene.service.body = code, body
    (told,) = await scene.ask(1)

    assert type(told) is Unavailable


async def test_a_list_of_runs_that_is_none_is_no_list_without_runs(scene: Scene) -> None:
    with pytest.raises(Unavailable):
        await scene.client.active_runs("team")


@pytest.mark.parametrize(("code", "offset"), [(200, ""), (200, "x"), (302, "1")])
async def test_bytes_of_a_log_are_kept_only_if_the_service_says_how_many(
    scene: Scene, code: int, offset: str
) -> None:
    scene.service.code, scene.service.body = code, b""
    scene.service.headers = {"Upload-Offset": offset, "Location": "/login"}
    log = Log("team", "f", 1, 0)
    with pytest.raises(Unavailable):
        await scene.client.append_log(log, offset=0, reached="", data=b"x")
    with pytest.raises(Unavailable):
        await scene.client.log_offset(log)


async def test_how_the_service_is_can_be_told_at_any_time(scene: Scene) -> None:
    assert scene.client.state == ""
    await scene.ask(1)
    assert scene.client.state == TRACKING_ANSWERS

    scene.service.code = 503
    await scene.ask(1)
    assert scene.client.state.startswith("does not answer at http://127.0.0.1:")

    scene.service.code, scene.clock[0] = 200, 60.0
    await scene.ask(1)
    assert scene.client.state == TRACKING_ANSWERS


async def test_a_service_that_nobody_needs_is_looked_at_all_the_same(
    scene: Scene, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tracking, "LOOK_EVERY", 0)
    looking = asyncio.create_task(scene.client.look_for_ever())
    while scene.service.asked < 2:
        await asyncio.sleep(0)
    scene.service.code = 503
    while scene.client.state == TRACKING_ANSWERS:
        await asyncio.sleep(0)

    assert not looking.done()
    assert set(scene.service.paths) == {READY_ROUTE}
    looking.cancel()
