"""Who waits for one thing never takes the place of who wants another; and nobody waits for ever."""

import threading
from collections import Counter
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
from trainyard_tracking.deadlines import is_read
from trainyard_tracking.errors import Busy
from trainyard_tracking.lanes import Lane, Lanes, Queued, SharedLane

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
    lanes = Lanes(writes=SharedLane(places=1, queue=0, patience=60))
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


class Shared:
    """A lane of 8 places, who is in it, and a door for each."""

    def __init__(self, group: Any, **more: int) -> None:
        self.lane = SharedLane(**{"places": 8, "queue": 512, "patience": 60, **more})
        self.group = group
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._doors: dict[str, list[anyio.Event]] = {}

    async def come(self, *owners: str, times: int = 1) -> None:
        for _ in range(times):
            self.group.start_soon(self._stay, owners)
        await anyio.wait_all_tasks_blocked()

    async def let_go(self, owner: str) -> None:
        self._doors[owner].pop(0).set()
        await anyio.wait_all_tasks_blocked()

    async def _stay(self, owners: tuple[str, ...]) -> None:
        door = anyio.Event()
        try:
            async with self.lane.place(owners):
                self.inside.append(owners[0])
                self._doors.setdefault(owners[0], []).append(door)
                await door.wait()
                self.inside.remove(owners[0])
        except Busy:
            self.refused.append(owners[0])


def shared(work: Callable[[Shared], Any], **more: int) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:
            made = Shared(group, **more)
            await work(made)
            group.cancel_scope.cancel()
        assert made.lane._taken.borrowed_tokens == 0
        assert (dict(made.lane._held), made.lane._waiting) == ({}, {})

    anyio.run(main)


def test_one_owner_has_three_quarters_of_a_lane_and_of_its_queue() -> None:
    async def work(lane: Shared) -> None:
        await lane.come("greedy", times=20)
        assert lane.inside == ["greedy"] * 6
        assert lane.refused == ["greedy"] * 8
        await lane.come("modest")
        assert lane.inside.count("modest") == 1

    shared(work, queue=8)


def test_a_namespace_has_three_quarters_whoever_asks_in_it() -> None:
    async def work(lane: Shared) -> None:
        await lane.come("user a", "namespace team", times=4)
        await lane.come("user b", "namespace team", times=4)
        assert (lane.inside.count("user a"), lane.inside.count("user b")) == (4, 2)
        await lane.come("user c", "namespace other", times=3)
        assert lane.inside.count("user c") == 2

    shared(work)


def test_who_waits_for_a_namespace_that_has_its_share_is_let_into_another() -> None:
    async def work(lane: Shared) -> None:
        await lane.come("user a", "namespace team", times=4)
        await lane.come("user b", "namespace team", times=4)
        await lane.come("user b", "namespace other")
        assert lane.inside.count("user b") == 3
        await lane.come("user c", "namespace other")
        await lane.come("user b", "namespace other", times=2)
        assert (lane.inside.count("user b"), lane.inside.count("user c")) == (3, 1)
        await lane.let_go("user c")
        assert lane.inside.count("user b") == 4

    shared(work)


def test_owners_take_turns_however_many_of_one_wait() -> None:
    async def work(lane: Shared) -> None:
        await lane.come("first", times=6)
        await lane.come("greedy", times=100)
        await lane.come("modest")
        await lane.come("third")
        entered = []
        for _ in range(4):
            before = Counter(lane.inside) - Counter(["first"])
            await lane.let_go("first")
            entered += (Counter(lane.inside) - before - Counter(["first"] * 6)).elements()
        assert entered == ["greedy", "modest", "third", "greedy"]

    shared(work)


def test_who_goes_away_leaves_no_place_behind() -> None:
    async def work(lane: Shared) -> None:
        await lane.come("one", times=6)
        await lane.come("other", times=2)
        with anyio.move_on_after(0):
            async with lane.lane.place(("third",)):
                raise AssertionError("there was a place")
        await lane.let_go("one")
        await lane.come("fourth")
        assert lane.inside.count("fourth") == 1

    shared(work)


def test_requests_of_a_namespace_count_as_its(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = world.service.lanes.reads
    token = world.record(RUN, "asks")
    monkeypatch.setitem(reads._held, "namespace team", 6)
    monkeypatch.setattr(reads, "patience", 0)
    path = f"/api/2.0/mlflow/runs/get?run_id={RUN}"

    told = [
        world.client.get(path, headers=headers).status_code
        for headers in (
            bearer(token),
            bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "team"}),
            bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "other"}),
        )
    ]

    assert told == [429, 429, 404]


def test_files_of_a_namespace_count_as_its(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content, token = world.service.lanes.content, world.record(RUN, "asks")
    monkeypatch.setitem(content._held, "namespace team", content.places)
    monkeypatch.setattr(content, "patience", 0)
    blob, other = f"{PRIVATE}/blobs/sha256:{'0' * 64}", PRIVATE.replace("team", "other")

    def told(path: str, token: str) -> int:
        return int(world.client.get(path, headers=bearer(token)).status_code)

    assert told(blob, token) == told(blob, OPERATOR) == 429
    assert told(blob.replace(PRIVATE, other), OPERATOR) == 404


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", f"{PRIVATE}/runs?state=active", "calls"),
        ("PUT", f"{PRIVATE}/runs/{RUN}", "records"),
        ("POST", f"{PRIVATE}/runs/{RUN}/finish", "records"),
        ("GET", f"{PRIVATE}/runs/{RUN}/logs/1", "content"),
        ("POST", "/api/2.0/mlflow/runs/search", "people"),
        ("GET", "/api/3.0/mlflow/workspaces", "lists"),
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


@pytest.mark.parametrize("path", ["datasets/d/tags/search", "logged-models/m/tags/graphql"])
def test_no_write_passes_for_a_question_by_its_name(path: str) -> None:
    assert not is_read("DELETE", f"/api/3.0/mlflow/{path}")
