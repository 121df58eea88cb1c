"""What the service says before it can do its work: never that something is not there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from builders.tracking import OPERATOR, SCIENTIST, bearer
from builders.tracking_attempts import Run
from trainyard_tracking.readiness import Readiness
from trainyard_tracking.watching import Cache

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


def test_a_service_that_has_not_read_the_cluster_is_alive_and_not_ready(world: Any) -> None:
    with unread(world):
        answer = world.client.get(READY)

        assert world.client.get("/api/trainyard/v1/health").status_code == 200
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "models, modelversions, namespaces" in answer.json()["message"]


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

    told = Readiness((), database).obstacle()

    assert told == "The database does not answer: OperationalError"


def test_a_database_that_says_nothing_is_asked_once_however_many_look() -> None:
    database, now = Database(), [0.0]
    ready = Readiness((), database, clock=lambda: now[0])
    first = threading.Thread(target=ready.obstacle)
    first.start()
    database.asked.wait()

    soon = ready.obstacle()
    now[0] = 6.0
    late = ready.obstacle()

    database.answer.set()
    first.join()
    assert (soon, late) == ("", "The database says nothing for 5 s")


def test_what_is_not_read_yet_is_named() -> None:
    database = Database()

    assert Readiness((Cache("models"),), database).obstacle().endswith("yet: models")
    assert not database.asked.is_set()
