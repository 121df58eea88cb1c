"""One composed service for all tests of the tracking service: MLflow keeps its stores in globals.

The real MLflow server on SQLite in a temporary folder; the cluster and the object store are fakes.
TRAINYARD_TEST_DATABASE, a URL of a PostgreSQL that lets us make databases, has it run on that.
"""

import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from builders.tracking import KEY, OPERATOR, FakeKube, FileObjects, bearer, run_token
from builders.tracking_database import fresh_database
from builders.tracking_registry import Registry
from builders.tracking_side import Side
from trainyard_tracking.__main__ import configured
from trainyard_tracking.mlflow_env import ARTIFACTS_URI, behaviour
from trainyard_tracking.settings import ObjectStoreSettings, Settings
from trainyard_tracking.uploads import Uploads

SETTINGS = Settings(
    "sqlite://",
    ObjectStoreSettings("s3", "b", "r", secure=False),
    Path("crt"),
    Path("spool"),
    5000,
    "warning",
)
NAMESPACES = ("default", "team", "other")
BEHAVIOUR = {**behaviour(), "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "https://mlflow.example.org"}

# Now, before any test's module imports it by the way: MLflow reads them while it is imported.
with pytest.MonkeyPatch.context() as _patch, warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _name, _value in BEHAVIOUR.items():
        _patch.setenv(_name, _value)
    import mlflow.server  # noqa: F401


@dataclass
class World:
    """The service with everything it stands on."""

    service: Any
    kube: FakeKube
    objects: FileObjects
    client: httpx.Client
    url: str
    environment: dict[str, str]

    def record(self, run_id: str, name: str, *, namespace: str = "team", **body: Any) -> str:
        """Record a Run as the operator does and give its token."""
        answer = self.client.put(
            f"/api/trainyard/v1/namespaces/{namespace}/runs/{run_id}",
            json={"name": name, "experiment": "digits", "startTime": 1_700_000_000_000, **body},
            headers=bearer(OPERATOR),
        )
        assert answer.status_code == 200, answer.text
        return run_token(run_id, name, namespace=namespace)

    def sync(self) -> None:
        """Let the watch caches see what the cluster has."""
        for watcher in self.service.watchers:
            watcher.list_once()


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root: Path = tmp_path_factory.mktemp("tracking")
    with fresh_database(root) as database:
        yield from _composed(root, database)


def _composed(root: Path, database: str) -> Iterator[World]:
    environment = {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": "trainyard://",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": ARTIFACTS_URI,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        **BEHAVIOUR,
    }
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # What MLflow warns of while it is imported is not ours to mend.
        warnings.simplefilter("ignore")
        for name, value in environment.items():
            patch.setenv(name, value)
        from trainyard_tracking.server import Outside, compose  # noqa: PLC0415  # reads them

        kube, objects = FakeKube(), FileObjects(root / "bucket")
        for name in NAMESPACES:
            kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name, "uid": name}})
        outside = Outside(kube, objects, KEY.public_key(), database, root / "spool", "yard")
        service = compose(outside)
        service.indexes.run()
    for watcher in service.watchers:
        watcher.list_once()
    with _served(service.app) as url, httpx.Client(base_url=url, timeout=60) as client:
        world = World(service, kube, objects, client, url, environment)
        world.sync()
        yield world


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """Serve over real HTTP: what clients see is tested, not what a shortcut would show."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configured(app, SETTINGS))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def world(_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in _world.environment.items():
        monkeypatch.setenv(name, value)
    _world.kube.down = False
    _world.kube.operator = None
    _world.kube.refuses = None
    _world.sync()
    return _world


@pytest.fixture
def registry(world: World) -> Registry:
    found = Registry(world)
    assert found.create().status_code == 200
    return found


@pytest.fixture
def mine(world: World) -> Side:
    """A Run of the namespace."""
    return Side(world)


@pytest.fixture
def theirs(world: World) -> Side:
    """Another one of it."""
    return Side(world)


@pytest.fixture
def deciding(world: World) -> FakeKube:
    """Let the cache hear of the stand-in's writes, as a watch would."""
    world.kube.seen = world.service.resources.models
    return world.kube


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path / "bucket")


@pytest.fixture
def uploads(objects: FileObjects, tmp_path: Path) -> Uploads:
    return Uploads(objects, tmp_path / "spool" / "uploads", 1 << 40)
