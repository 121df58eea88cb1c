"""Composes the service: MLflow's app, ours beside it, the door in front of both.

    Measured ─▶ Door ─▶ private routes   (/api/trainyard/v1, /metrics, files in and out)
                    └─▶ MLflow's FastAPI ─▶ its Flask

Importing this imports MLflow's server, which reads its environment while loading: set that first
(mlflow_env.py). MLflow keeps its stores in globals, so there is one service in a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI
from mlflow.exceptions import MlflowException
from mlflow.server import app as flask_app
from mlflow.server import handlers
from mlflow.server.fastapi_app import create_fastapi_app
from mlflow.store.artifact.artifact_repository_registry import (
    _artifact_repository_registry as artifact_registry,
)
from mlflow.store.db.db_types import DATABASE_ENGINES, SQLITE
from mlflow.tracking._workspace import registry as workspace_registry
from mlflow.utils.workspace_context import ServerWorkspaceContext
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from trainyard_api.contract import DEPLOYMENTS, TRACKING_API

from trainyard_tracking import living, tenants
from trainyard_tracking.answers import answer_clearly
from trainyard_tracking.api import artifacts
from trainyard_tracking.api.app import Services, private_app, refused
from trainyard_tracking.artifacts import repository
from trainyard_tracking.auth.gate import Gate
from trainyard_tracking.auth.middleware import Door
from trainyard_tracking.auth.mlflow_rules import MLFLOW_ROWS
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.private_rules import PRIVATE_ROWS
from trainyard_tracking.auth.reading import SPANS
from trainyard_tracking.auth.rules import Table
from trainyard_tracking.content import Content
from trainyard_tracking.errors import BadSettings, Refused
from trainyard_tracking.indexes import Indexes
from trainyard_tracking.kube import Kube
from trainyard_tracking.lanes import Lanes, Queued, put
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.leftovers import Leftovers
from trainyard_tracking.logs import Logs
from trainyard_tracking.messages import read_whole
from trainyard_tracking.metrics import Measured
from trainyard_tracking.mlflow_env import ARTIFACTS_SCHEME, REGISTRY_URI, WORKSPACES_URI
from trainyard_tracking.objects import Objects
from trainyard_tracking.readiness import Readiness
from trainyard_tracking.recording import forget_places
from trainyard_tracking.registry.prompts import Prompts
from trainyard_tracking.registry.resources import Resources
from trainyard_tracking.registry.store import TrainyardStore
from trainyard_tracking.reviews import Reviews
from trainyard_tracking.sources import Sources, forget_artifact_roots
from trainyard_tracking.statistics import Statistics
from trainyard_tracking.store import RunStore
from trainyard_tracking.uploads import Uploads
from trainyard_tracking.visible import Visible
from trainyard_tracking.watching import Cache, Watcher
from trainyard_tracking.workspaces import Namespaces

_SCHEME = "trainyard"
_SERVER_INFO = "/mlflow/server-info"


@dataclass(frozen=True, slots=True)
class Outside:
    """What the service stands on."""

    kube: Kube
    objects: Objects
    key: Ed25519PublicKey
    database_url: str
    spool: Path
    namespace: str = ""
    """The service's own."""
    largest_file: int = 1 << 40
    query_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """A composed service: what uvicorn runs, and what must be watched while it does."""

    app: ASGIApp
    mlflow: FastAPI
    table: Table
    resources: Resources
    watchers: tuple[Watcher, ...]
    leftovers: Leftovers
    statistics: Statistics
    indexes: Indexes
    lanes: Lanes
    sweep: Callable[[], None]
    """Aborts the uploads that an earlier service left."""


def compose(outside: Outside) -> Service:
    """Compose the service, migrating the database and probing every store.

    Raises:
        BadSettings: a store can't be used; says which and why.
    """
    resources = Resources(outside.kube)
    sources = Sources(resources, outside.objects)
    namespaces = Cache("namespaces", tenants.slim)
    deployments = Cache(DEPLOYMENTS, living.slim)
    caches = (resources.models, resources.versions, namespaces, deployments)
    reviews = Reviews(outside.kube)
    workspaces = Namespaces(namespaces, Visible(reviews), own=outside.namespace)
    prompts = Prompts(outside.database_url)
    _register(TrainyardStore(resources, sources, prompts), workspaces)
    engine = _open_stores(outside.database_url)
    # MLflow tries a database that is away for minutes: not under a request.
    _must("the database", prompts.open)
    ledger = Ledger(engine)
    outside.spool.mkdir(parents=True, exist_ok=True)
    artifact_registry.register(ARTIFACTS_SCHEME, repository(outside.objects))
    uploads = Uploads(outside.objects, outside.spool / "uploads", outside.largest_file)
    left = uploads.left()
    ownership = Ownership(resources)
    forget = (ownership.forget, ledger.forget_all, forget_places, forget_artifact_roots)
    known = tenants.Tenants(engine, namespaces, outside.kube, forget)
    workspaces.require, workspaces.used = known.require, known.used
    lanes = Lanes()
    services = Services(
        ledger=ledger,
        objects=outside.objects,
        content=Content(outside.objects, known.folder),
        logs=Logs(outside.spool, outside.objects),
        sources=sources,
        uploads=uploads,
        readiness=Readiness(ledger.engine),
        lanes=lanes,
    )
    table = Table((*PRIVATE_ROWS, *MLFLOW_ROWS))
    alive = living.Living(outside.kube, resources.versions, deployments)
    gate = Gate(table, outside.key, ledger, reviews, ownership, known, alive)
    mlflow = _mlflow(lanes)
    inside = _Inside(private_app(services), mlflow, lanes)
    app = Measured(Door(inside, gate, lanes, outside.query_seconds))
    watchers = tuple(Watcher(outside.kube, cache) for cache in caches)
    leftovers = Leftovers(services.logs, ledger)
    sweep = partial(uploads.sweep, left)
    statistics = Statistics(engine, (prompts.store.engine,))
    beside = (leftovers, statistics, Indexes(engine))
    return Service(app, mlflow, table, resources, watchers, *beside, lanes, sweep)


def _mlflow(lanes: Lanes) -> FastAPI:
    """Make MLflow's app, with a queue before its Flask, where nearly all routes are."""
    app: FastAPI = create_fastapi_app(flask_app)
    (flask,) = (route for route in app.routes if isinstance(route, Mount) and not route.path)
    flask.app = Queued(flask.app, lanes)
    app.add_exception_handler(Refused, refused)
    answer_clearly(flask_app)
    read_whole()
    return app


@dataclass(slots=True)
class _Inside:
    """Chooses between our routes and MLflow's by the beginning of the path."""

    private: ASGIApp
    mlflow: ASGIApp
    lanes: Lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if path.startswith(f"{TRACKING_API}/") or path == "/metrics":
            await self.private(scope, receive, send)
        elif artifacts.serves(str(scope.get("method", "")), path):
            put(scope, self.lanes.content)
            await self.private(scope, receive, send)
        elif path.endswith(_SERVER_INFO):
            answer = JSONResponse(await run_in_threadpool(_server_info))
            await answer(scope, receive, send)
        elif path == SPANS:
            # Not Flask's, so without a queue of its own.
            await Queued(self.mlflow, self.lanes)(scope, receive, send)
        else:
            await self.mlflow(scope, receive, send)


def _server_info() -> dict[str, Any]:
    # MLflow would offer URLs signed for the object store, which pods and laptops can't reach.
    info: dict[str, Any] = handlers.build_server_info_payload()
    off = {"multipart_uploads_enabled": False, "multipart_downloads_enabled": False}
    return {**info, **{key: off.get(key, value) for key, value in info.items()}}


def _register(store: TrainyardStore, namespaces: Namespaces) -> None:
    def build_runs(store_uri: str, artifact_uri: str) -> RunStore:
        return RunStore(store_uri, artifact_uri)

    for scheme in DATABASE_ENGINES:
        handlers._tracking_store_registry.register(scheme, build_runs)  # noqa: SLF001  # as its own

    def build(store_uri: str | None = None) -> TrainyardStore:
        return store

    def build_workspaces(workspace_uri: str) -> Namespaces:
        return namespaces

    handlers._model_registry_store_registry.register(_SCHEME, build)  # noqa: SLF001  # as its own
    workspace_registry._get_workspace_store_registry().register(  # noqa: SLF001  # entry points do
        _SCHEME, build_workspaces
    )


def _open_stores(database_url: str) -> Any:
    """Open MLflow's stores, migrating the database; give its SQLAlchemy engine."""
    _must(
        "the database",
        lambda: handlers.initialize_backend_stores(
            backend_store_uri=database_url,
            registry_store_uri=REGISTRY_URI,
            default_artifact_root="mlflow-artifacts:/",
            workspace_store_uri=WORKSPACES_URI,
        ),
    )
    # MLflow starts with a dead registry if it doesn't know the scheme: look at what it opened.
    registry = handlers._get_model_registry_store()  # noqa: SLF001  # no public way to look
    if not isinstance(registry, TrainyardStore):
        raise BadSettings(
            f"MLflow opened {type(registry).__name__} as registry, not {REGISTRY_URI}"
        )
    tracking = handlers._get_tracking_store()  # noqa: SLF001  # no public way to look

    def probe() -> None:
        if tracking.db_type == SQLITE:
            with tracking.engine.connect() as connection:
                # Kept in the file: a commit is one flush to disk, and readers wait for no writer.
                connection.execute(text("PRAGMA journal_mode = WAL"))
        with ServerWorkspaceContext("default"):
            tracking.get_experiment_by_name("Default")

    _must("the database", probe)
    return tracking.engine


def _must(what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except BadSettings:
        raise
    except MlflowException as exc:
        raise BadSettings(f"{what} can't be used: {exc.message}") from exc
    except Exception as exc:
        raise BadSettings(f"{what} can't be used: {type(exc).__name__}: {exc}") from exc
