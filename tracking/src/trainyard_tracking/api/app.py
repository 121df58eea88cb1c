"""The Starlette application of the private routes, and how their errors look."""

import logging
from dataclasses import dataclass, field

from mlflow.exceptions import MlflowException
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from trainyard_api.contract import HEALTH_ROUTE, READY_ROUTE, TRACKING_API

from trainyard_tracking.api import artifacts, content, logs, runs
from trainyard_tracking.content import Content
from trainyard_tracking.errors import Refused, Unavailable
from trainyard_tracking.lanes import Lanes
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.logs import Logs
from trainyard_tracking.objects import Objects
from trainyard_tracking.readiness import Readiness
from trainyard_tracking.sources import Sources
from trainyard_tracking.uploads import Uploads

_log = logging.getLogger(__name__)
_LOOK_AGAIN = "5"
_IN = f"{TRACKING_API}/namespaces/{{namespace}}"


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers work with; in `app.state.services`."""

    ledger: Ledger
    objects: Objects
    content: Content
    logs: Logs
    sources: Sources
    uploads: Uploads
    readiness: Readiness
    lanes: Lanes
    finishing: set[str] = field(default_factory=set)
    """Ids of the Runs that are being finished."""


def private_app(services: Services) -> Starlette:
    """Compose the private routes, and those of MLflow's that carry files."""
    handlers = {Refused: refused, MlflowException: artifacts.failed}
    handlers[SQLAlchemyError] = artifacts.failed
    app = Starlette(routes=_routes(), exception_handlers=handlers)
    app.state.services = services
    return app


def _routes() -> list[Route]:
    run, version = f"{_IN}/runs/{{run_id}}", f"{_IN}/modelversions/{{name}}"
    log = f"{run}/logs/{{attempt}}"
    model = f"{_IN}/models/sha256:{{digest}}"
    blob = f"{_IN}/blobs/sha256:{{digest}}"
    return [
        Route(HEALTH_ROUTE, _health, methods=["GET"]),
        Route(READY_ROUTE, _ready, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
        Route(f"{_IN}/runs", runs.active, methods=["GET"]),
        Route(run, runs.put, methods=["PUT"]),
        Route(f"{run}/finish", runs.finish, methods=["POST"]),
        Route(f"{run}/summary", runs.summary, methods=["GET"]),
        Route(log, logs.Log),
        Route(f"{log}/{{index}}", logs.Log),
        Route(f"{_IN}/audit", runs.audit, methods=["POST"]),
        Route(blob, content.Blob),
        Route(f"{blob}/upload", content.upload, methods=["GET"]),
        Route(f"{model}/files/{{path:path}}", content.model_file, methods=["GET"]),
        Route(model, content.Manifest),
        Route(f"{version}/source", content.source, methods=["GET"]),
        Route(f"{version}/source/{{path:path}}", content.source_file, methods=["GET"]),
        *artifacts.routes(),
    ]


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> Response:
    readiness: Readiness = request.app.state.services.readiness
    # No place of a lane: a service that is busy is ready all the same.
    obstacle = await run_in_threadpool(readiness.obstacle)
    if obstacle:
        content = {"error_code": Unavailable.code, "message": obstacle}
        return JSONResponse(content, Unavailable.status, {"Retry-After": _LOOK_AGAIN})
    return JSONResponse({"status": "ready"})


async def _metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def refused(request: Request, exc: Exception) -> Response:
    """Answer what was refused as MLflow does."""
    if not isinstance(exc, Refused):
        raise exc
    content = {"error_code": exc.code, "message": str(exc)}
    return JSONResponse(content, status_code=exc.status, headers=exc.headers)
