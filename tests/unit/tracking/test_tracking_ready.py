"""What the service says before it can do its work: never that something is not there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from builders.tracking import OPERATOR, SCIENTIST, bearer, run_token
from builders.tracking_attempts import Run
from mlflow.server import handlers
from trainyard_tracking.__main__ import _fill
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.kube import KubeError
from trainyard_tracking.opening import Opening
from trainyard_tracking.readiness import Readiness
from trainyard_tracking.watching import Cache, Watcher

READY, V2 = "/api/trainyard/v1/ready", "/api/2.0/mlflow"


@contextmanager
def unread(world: Any) -> Iterator[None]:
    """Have the service as it is while the cluster was not read yet."""
    caches = [watcher.cache for watcher in world.service.watchers]
    for cache in caches:
        cache.synced.clear()
    yield
    for cache in caches:
        cache.synced.set()


def test_a_service_that_has_read_the_cluster_is_ready(world: Any) -> None:
    assert world.client.get(READY).status_code == 200


def test_a_service_that_has_not_read_the_cluster_is_alive_and_ready_to_log(world: Any) -> None:
    with unread(world):
        assert world.client.get("/api/trainyard/v1/health").status_code == 200
        assert world.client.get(READY).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{V2}/registered-models/get?name=digits", None),
        ("GET", f"{V2}/registered-models/search", None),
        ("GET", f"{V2}/registered-models/alias?name=digits&alias=champion", None),
        ("GET", f"{V2}/model-versions/get-download-uri?name=digits&version=1", None),
        ("POST", f"{V2}/registered-models/create", {"name": "digits"}),
        ("POST", f"{V2}/model-versions/create", {"name": "digits", "source": "models:/a/1"}),
        ("GET", "/api/3.0/mlflow/workspaces", None),
        ("GET", "/api/trainyard/v1/namespaces/team/modelversions/digits-1/source", None),
    ],
)
def test_who_asks_for_the_registry_meanwhile_is_told_to_ask_again(
    world: Any, method: str, path: str, body: Any
) -> None:
    headers = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
    with unread(world):
        answer = world.client.request(method, path, json=body, headers=headers)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, "5")
    assert answer.json()["error_code"] == "RESOURCE_EXHAUSTED"


def test_programs_go_on_logging_meanwhile(world: Any) -> None:
    run = Run(world)
    with unread(world):
        run.log(1)
        answer = world.client.get(
            f"/api/trainyard/v1/namespaces/team/runs/{run.id}/summary", headers=bearer(OPERATOR)
        )

    assert answer.json()["metrics"] == {"loss": "3.0"}


@contextmanager
def no_database(*engines: Any) -> Iterator[None]:
    """Have no connection to the database be made or taken."""

    def refuse(connection: Any) -> None:
        raise sa.exc.OperationalError("SELECT secret", {}, Exception("secret.host"))

    for engine in engines:
        sa.event.listen(engine, "engine_connect", refuse)
    yield
    for engine in engines:
        sa.event.remove(engine, "engine_connect", refuse)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("POST", f"{V2}/runs/log-metric", {"run_id": "RUN"}, 429, id="at the door"),
        pytest.param("POST", f"{V2}/experiments/create", {"name": "x"}, 503, id="by a handler"),
        pytest.param("GET", f"{V2}/registered-models/get?name=hello", None, 503, id="of prompts"),
        pytest.param(
            "GET",
            "/api/trainyard/v1/namespaces/team/runs/RUN/summary",
            None,
            503,
            id="by a route of ours",
        ),
    ],
)
def test_a_database_that_is_away_is_said_in_own_words_and_when_to_ask_again(
    world: Any, method: str, path: str, body: Any, status: int
) -> None:
    run = Run(world)
    stores = handlers._get_tracking_store(), handlers._get_model_registry_store().prompts.store
    who = OPERATOR if path.endswith("/summary") else SCIENTIST
    # Whether a Run's token is good is asked of the database before anything is done.
    who = run_token("f" * 32, "fit") if status == 429 else who
    headers = bearer(who, **{"X-MLFLOW-WORKSPACE": "team"})
    with no_database(*(store.engine for store in stores)):
        answer = world.client.request(
            method, path.replace("RUN", run.id), json=body, headers=headers
        )

    assert answer.status_code == status, answer.text
    assert 2 <= int(answer.headers["Retry-After"]) <= 8
    assert answer.json()["message"] == "The database does not answer: try again"


class Database:
    """An engine whose connections are made when it is told so."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()

    def connect(self) -> Any:
        self.asked.set()
        self.answer.wait()
        raise sa.exc.OperationalError("connect", {}, Exception("secret.host"))


def test_a_database_that_refuses_is_named_without_where_it_is() -> None:
    database = Database()
    database.answer.set()

    told = Readiness(database).obstacle()

    assert told == "The database does not answer: OperationalError"


def test_a_database_that_says_nothing_is_asked_once_however_many_look() -> None:
    database, now = Database(), [0.0]
    ready = Readiness(database, clock=lambda: now[0])
    first = threading.Thread(target=ready.obstacle)
    first.start()
    database.asked.wait()

    soon = ready.obstacle()
    now[0] = 6.0
    late = ready.obstacle()

    database.answer.set()
    first.join()
    assert (soon, late) == ("", "The database says nothing for 5 s")


class Throttled:
    """An API server that answers everything with one error."""

    def __init__(self, status: int) -> None:
        self.status = status

    def get(self, path: str) -> Any:
        raise KubeError(self.status, "Reason", "no")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_starts_while_the_cluster_has_too_much_to_do(status: int) -> None:
    watcher = Watcher(Throttled(status), Cache("models"))  # type: ignore[arg-type]

    _fill(watcher)

    assert not watcher.cache.synced.is_set()


def test_a_service_without_its_rights_says_so_and_ends() -> None:
    with pytest.raises(BadSettings, match="does not let us list models"):
        _fill(Watcher(Throttled(403), Cache("models")))  # type: ignore[arg-type]


def test_an_object_store_that_is_away_at_the_start_is_waited_for_beside_the_service() -> None:
    tries, pauses, swept = [0], [], []

    def ensure() -> None:
        tries[0] += 1
        if tries[0] < 3:
            raise BadSettings("The object store does not answer")

    Opening(ensure, lambda: swept.append(tries[0]), pauses.append).run()

    assert (swept, pauses) == ([3], [1.0, 2.0])
