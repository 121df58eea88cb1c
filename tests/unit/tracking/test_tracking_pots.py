"""Of whatever all share, one who takes as much as he gets leaves another a place."""

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from anyio import CapacityLimiter
from builders.tracking import OPERATOR, SCIENTIST, STRANGER, UID, FileObjects, bearer, token
from builders.tracking_side import V2, Side
from trainyard_api.contract import MODEL_VERSION_SUBJECT
from trainyard_tracking.auth import reading
from trainyard_tracking.auth.reading import Budget, read
from trainyard_tracking.errors import Busy, Unavailable

V3 = "/api/3.0/mlflow"
API = "/api/trainyard/v1/namespaces"
CREATE = f"{V2}/runs/create"


def door(world: Any) -> Any:
    return world.service.app.app if hasattr(world.service.app, "app") else world.service.app.inside


@pytest.fixture
def budget(world: Any, monkeypatch: pytest.MonkeyPatch) -> Budget:
    made = Budget(most=1000)
    # Not what these tests are about, however slow the machine is.
    monkeypatch.setattr(reading, "_PACE_SECONDS", 60.0)
    monkeypatch.setattr(door(world), "budget", made)
    return made


@contextmanager
def begun(world: Any, method: str, path: str, headers: dict[str, str]) -> Iterator[socket.socket]:
    """Send the head of a request, of whose 400 bytes all but the last come at once."""
    where = urlsplit(world.url)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Length: 400"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with closing(socket.create_connection((where.hostname, where.port), timeout=30)) as sent:
        sent.sendall("\r\n".join([*lines, "", ""]).encode() + b" " * 399)
        yield sent


def status(*sent: socket.socket) -> int:
    """Give the status of the first answer to any of these."""
    answered, _, _ = select.select(sent, [], [], 30)
    return int(answered[0].recv(1000).split()[1])


@pytest.mark.parametrize(
    ("method", "path", "namespace"),
    [
        pytest.param("POST", CREATE, "other", id="no right"),
        pytest.param("POST", f"{V3}/ui-telemetry", "team", id="a route that all may call"),
        pytest.param("GET", f"{V2}/gateway-proxy", "team", id="a body of a GET"),
        pytest.param("PUT", f"{API}/team/models/sha256:{'a' * 64}", "team", id="nobody may"),
    ],
)
def test_nothing_is_read_of_who_has_no_right_or_needs_no_body(
    world: Any, budget: Budget, method: str, path: str, namespace: str
) -> None:
    headers = bearer(STRANGER, **{"X-MLFLOW-WORKSPACE": namespace})

    with begun(world, method, path, headers) as sent:
        # The last byte never comes.
        assert status(sent) in {200, 403}

    assert budget.held == 0


def test_bodies_of_one_namespace_leave_room_for_those_of_another(
    world: Any, budget: Budget
) -> None:
    side, other = Side(world), Side(world, namespace="other", experiment="pots")
    metric = {"key": "m", "value": 1, "timestamp": 1, "step": 0}

    with (
        begun(world, "POST", CREATE, side.headers) as one,
        begun(world, "POST", CREATE, side.headers) as two,
    ):
        assert status(one, two) == 429  # of the two, which came first is the server's to say
        answer = other.post(f"{V2}/runs/log-metric", {"run_id": other.run_id, **metric})

    assert answer.status_code == 200


def test_manifests_under_way_count_as_bodies(world: Any, budget: Budget) -> None:
    spec = {"model": "v", "version": 1, "source": {"uri": "x"}}
    world.kube.has("modelversions", "v-1", spec=spec, status={"phase": "Publishing"})
    world.sync()
    who = bearer(token(f"{MODEL_VERSION_SUBJECT}{UID}", "v-1"))
    path = f"{API}/team/models/sha256:{'a' * 64}"

    with begun(world, "PUT", path, who) as one, begun(world, "PUT", path, who) as two:
        assert status(one, two) == 429


async def _read(receive: Any) -> bytes:
    with Budget().request() as share:
        return await read(receive, "", 1 << 20, share)


async def test_a_body_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PACE_SECONDS", 0.01)

    async def stalled() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(Unavailable, match="Nothing of the body came"):
        await _read(stalled)


@pytest.mark.parametrize(("chunk", "is_slow"), [(100, True), (64 << 10, False)])
async def test_a_body_that_trickles_is_given_up(
    monkeypatch: pytest.MonkeyPatch, chunk: int, is_slow: bool
) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr(reading, "monotonic", lambda: float(next(seconds)))
    left = [True] * 40 + [False]

    async def trickle() -> Any:
        return {"type": "http.request", "body": bytes(chunk // 4), "more_body": left.pop(0)}

    if not is_slow:
        assert len(await _read(trickle)) == 41 * (chunk // 4)
        return
    with pytest.raises(Unavailable, match="16 KiB a second"):
        await _read(trickle)


def test_one_owner_holds_half_of_the_bodies_and_gives_it_back() -> None:
    budget = Budget(most=100)

    with budget.request() as share, budget.request() as other:
        share.owners, other.owners = ("greedy", "team"), ("modest", "team")
        share.take(50)
        with pytest.raises(Busy):
            share.take(1)
        with pytest.raises(Busy):
            other.take(1)
        other.owners = ("modest",)
        other.take(50)

    assert (budget.held, budget.by_owner) == (0, {})


@pytest.mark.parametrize("lane", ["calls", "records"])
@pytest.mark.parametrize("who", [SCIENTIST, STRANGER, "a Run"])
def test_nobody_else_takes_a_place_of_the_operators(
    world: Any, monkeypatch: pytest.MonkeyPatch, lane: str, who: str
) -> None:
    side = Side(world)
    full = getattr(world.service.lanes, lane)
    monkeypatch.setattr(full, "_taken", CapacityLimiter(0))
    monkeypatch.setattr(full, "queue", 0)
    headers = side.headers if who == "a Run" else bearer(who)

    run = f"{API}/team/runs/{side.run_id}"
    for method, path in (("GET", f"{run}/summary"), ("GET", f"{API}/team/runs"), ("PUT", run)):
        assert world.client.request(method, path, headers=headers).status_code in {200, 403}


def test_the_operator_is_answered_while_others_fill_every_other_lane(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(world)
    for name in ("content", "door", "people", "lists", "reads", "writes", "names"):
        monkeypatch.setattr(getattr(world.service.lanes, name), "_taken", CapacityLimiter(0))
        monkeypatch.setattr(getattr(world.service.lanes, name), "queue", 0)

    path = f"{API}/team/runs/{side.run_id}/summary"

    assert world.client.get(path, headers=bearer(OPERATOR)).status_code == 200


def test_an_object_store_that_hangs_keeps_no_run_from_its_record(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More Runs with a log end than may record at once, while the store answers nobody."""
    ending = [Side(world) for _ in range(world.service.lanes.records.places)]
    goes_on = threading.Event()
    monkeypatch.setattr(world.service.lanes.archives, "patience", 0)
    monkeypatch.setattr(FileObjects, "put", lambda *_: goes_on.wait(60))
    body = {"status": "FINISHED", "endTime": 1_800_000_000_000, "logs": [1]}

    def finish(side: Side) -> int:
        path = f"{API}/team/runs/{side.run_id}/finish"
        return int(world.client.post(path, json=body, headers=bearer(OPERATOR)).status_code)

    with ThreadPoolExecutor(len(ending)) as pool:
        asked = [pool.submit(finish, side) for side in ending]
        told = as_completed(asked, timeout=30)
        for _ in range(len(ending) - world.service.lanes.archives.places):
            # Those for whom there is no place before the store are told so.
            assert next(told).result() == 429
        world.record(f"{0x70_7070:032x}", "recorded")
        goes_on.set()
        assert {one.result() for one in asked} == {200, 429}


def test_one_run_is_finished_once_at_a_time(world: Any) -> None:
    side = Side(world)
    finishing = door(world).inside.private.state.services.finishing
    body = {"status": "FINISHED", "endTime": 1_800_000_000_000}
    path = f"{API}/team/runs/{side.run_id}/finish"

    finishing.add(side.run_id)
    refused = world.client.post(path, json=body, headers=bearer(OPERATOR))
    finishing.discard(side.run_id)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert world.client.post(path, json=body, headers=bearer(OPERATOR)).status_code == 200
    assert not finishing


def test_the_code_of_a_run_does_not_fill_the_cluster_with_models(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainyard_tracking.registry import limits  # noqa: PLC0415  # with what reads MLflow's

    monkeypatch.setattr(limits, "OF_RUN_MOST", 2)
    side, other = Side(world), Side(world)

    def make(who: Side, name: str, **more: Any) -> Any:
        return who.post(f"{V2}/registered-models/create", {"name": f"{who.name}-{name}", **more})

    large = make(side, "large", description="x" * (40 << 10))
    # What the API server did not make counts for nothing.
    world.kube.down = True
    failed = make(side, "down").status_code
    world.kube.down = False
    made = [make(side, str(number)).status_code for number in range(3)]

    assert (large.status_code, failed // 100, made) == (400, 5, [200, 200, 403])
    assert "log what is larger as an artifact" in large.json()["message"]
    assert "the most that one Run may" in make(side, "more").json()["message"]
    assert make(other, "one").status_code == 200


def test_the_code_of_a_run_does_not_grow_a_version_without_end(world: Any) -> None:
    side = Side(world)
    side.post(f"{V2}/registered-models/create", {"name": side.name})
    source = {"name": side.name, "source": f"runs:/{side.run_id}/a.txt", "run_id": side.run_id}
    made = side.post(f"{V2}/model-versions/create", source)
    assert made.status_code == 200, made.text
    tag = {"name": side.name, "version": "1", "value": "x" * 4000}

    told = [
        side.post(f"{V2}/model-versions/set-tag", {**tag, "key": f"k{number}"}).status_code
        for number in range(9)
    ]

    assert told == [200] * 8 + [400]
