"""Who waits for one thing never takes the place of who wants another; and nobody waits for ever."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
from anyio import CapacityLimiter
from builders.tracking import OPERATOR, bearer
from builders.tracking_database import keep_writers_out
from trainyard_tracking.auth.gate import Gate
from trainyard_tracking.errors import Busy
from trainyard_tracking.lanes import Lane, Lanes, Queued

ASKERS = 60
"""More than AnyIO has threads for all."""
RUN = f"{70:032x}"
PRIVATE = "/api/trainyard/v1/namespaces/team"
PATIENCE = 5.0
"""The operator's."""


class Blocked:
    """The service while its database is locked, as by the move of a long record."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.token = world.record(RUN, "waits")
        self.let_in = threading.Semaphore(0)
        decide = Gate.decide

        def decided(*args: Any) -> Any:
            self.let_in.release()
            return decide(*args)

        monkeypatch.setattr(Gate, "decide", decided)
        self._pool = ThreadPoolExecutor(ASKERS)
        self._unlock = keep_writers_out(world.environment["_MLFLOW_SERVER_FILE_STORE"])

    def ask(self) -> list[Future[httpx.Response]]:
        """Let many programs log a metric; return once the service has let them all in."""
        body = {"run_id": RUN, "key": "loss", "value": 1.0, "timestamp": 1, "step": 0}
        path, headers = "/api/2.0/mlflow/runs/log-metric", bearer(self.token)
        post = self.world.client.post
        asked = [self._pool.submit(post, path, json=body, headers=headers) for _ in range(ASKERS)]
        for _ in range(ASKERS):
            self.let_in.acquire(timeout=PATIENCE / ASKERS)
        return asked

    def unlock(self) -> None:
        self._unlock()
        self._pool.shutdown()


@pytest.fixture
def blocked(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocked]:
    made = Blocked(world, monkeypatch)
    yield made
    made.unlock()


@pytest.mark.parametrize(
    "path",
    [
        f"{PRIVATE}/runs?state=active",
        f"{PRIVATE}/runs/{RUN}/summary",
        f"{PRIVATE}/runs/{RUN}/logs/1",
        f"/api/2.0/mlflow/runs/get?run_id={RUN}",
    ],
)
def test_while_writes_of_programs_wait_for_the_database_all_else_is_answered(
    blocked: Blocked, path: str
) -> None:
    blocked.ask()

    headers = bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "team"})
    answer = blocked.world.client.get(path, headers=headers, timeout=PATIENCE)

    assert answer.status_code == 200


def test_programs_that_waited_are_answered_in_the_end(blocked: Blocked) -> None:
    asked = blocked.ask()

    blocked.unlock()

    assert {one.result().status_code for one in asked} == {200}


def test_a_lane_that_is_full_refuses_at_once_who_would_wait_too_long() -> None:
    async def main() -> None:
        lane = Lane(places=1, queue=0, patience=60)
        async with lane.place():
            with pytest.raises(Busy, match="try again") as refusal:
                await lane.run(int)
        assert 10 <= int(refusal.value.headers["Retry-After"]) <= 30
        assert await lane.run(int) == 0

    anyio.run(main)


def test_nobody_stays_in_a_queue_for_ever() -> None:
    async def main() -> None:
        lane = Lane(places=1, queue=9, patience=0)
        async with lane.place():
            with pytest.raises(Busy):
                await lane.run(int)
        assert await lane.run(int) == 0

    anyio.run(main)


def test_a_client_that_is_slow_to_read_or_write_holds_no_place() -> None:
    lanes = Lanes(writes=Lane(places=1, queue=0, patience=60))
    is_free: list[bool] = []

    async def look() -> None:
        try:
            async with lanes.writes.place():
                is_free.append(True)
        except Busy:
            is_free.append(False)

    async def receive() -> dict[str, Any]:
        await look()
        return {"type": "http.request", "body": b"", "more_body": len(is_free) < 2}

    async def send(message: Any) -> None:
        await look()

    async def inside(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        while (await receive())["more_body"]:
            pass
        await look()
        await send({"type": "http.response.start"})

    scope = {"type": "http", "method": "POST", "path": "/"}
    anyio.run(Queued(inside, lanes), scope, receive, send)

    #                   two blocks of the body, the work, the answer
    assert is_free == [True, True, False, True]


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", f"{PRIVATE}/runs?state=active", "calls"),
        ("PUT", f"{PRIVATE}/runs/{RUN}", "records"),
        ("POST", f"{PRIVATE}/runs/{RUN}/finish", "records"),
        ("GET", f"{PRIVATE}/runs/{RUN}/logs/1", "content"),
        ("POST", "/api/2.0/mlflow/runs/search", "door"),
        ("POST", "/api/2.0/mlflow/runs/search", "reads"),
        ("GET", "/api/2.0/mlflow/registered-models/search", "reads"),
        ("POST", "/api/2.0/mlflow/registered-models/create", "writes"),
    ],
)
def test_who_finds_a_lane_full_is_told_when_to_ask_again(
    world: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, lane: str
) -> None:
    full = getattr(world.service.lanes, lane)
    monkeypatch.setattr(full, "_taken", CapacityLimiter(0))
    monkeypatch.setattr(full, "queue", 0)

    headers = bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "team"})
    answer = world.client.request(method, path, headers=headers)

    assert answer.status_code == 429
    assert answer.json()["error_code"] == "RESOURCE_EXHAUSTED"
    assert 10 <= int(answer.headers["Retry-After"]) <= 30
