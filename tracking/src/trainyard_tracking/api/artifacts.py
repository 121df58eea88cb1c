"""MLflow's routes for files, streamed: its own stage a whole file, or a whole folder, on disk.

What is not there is 404 in MLflow's words, which its clients do not repeat; a folder is no file.
A Range is answered, so that who was cut off goes on.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.server.handlers import (
    _content_disposition_attachment,
    _get_model_registry_store,
    _get_tracking_store,
)
from mlflow.utils.mime_type_utils import _guess_mime_type
from mlflow.utils.workspace_context import ServerWorkspaceContext
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from trainyard_api.contract import WORKSPACE_HEADER
from trainyard_api.paths import BadPath, normal

from trainyard_tracking.answers import without_database
from trainyard_tracking.api.streams import stream
from trainyard_tracking.content import Located
from trainyard_tracking.errors import NotFound, Refused, Unavailable
from trainyard_tracking.sources import artifact_key, path_key

_READS = {"GET", "HEAD"}
_SERVED = (
    (re.compile("/(ajax-)?api/2.0/mlflow-artifacts/artifacts/.+", re.DOTALL), {*_READS, "PUT"}),
    (re.compile("/(ajax-)?api/2.0/mlflow/logged-models/[^/]+/artifacts/files"), _READS),
    (re.compile("(/model-versions)?/get-artifact"), _READS),
)


def serves(method: str, path: str) -> bool:
    """Tell whether a request to MLflow is answered here."""
    return any(method in methods and route.fullmatch(path) for route, methods in _SERVED)


def routes() -> list[Route]:
    """Give the routes, with those that the UI uses."""
    found = []
    for api in ("api", "ajax-api"):
        files = f"/{api}/2.0/mlflow-artifacts"
        logged = f"/{api}/2.0/mlflow/logged-models/{{model_id}}/artifacts/files"
        found += [
            Route(f"{files}/artifacts/{{path:path}}", download, methods=["GET"]),
            Route(f"{files}/artifacts/{{path:path}}", upload, methods=["PUT"]),
            Route(logged, of_logged_model, methods=["GET"]),
        ]
    return [
        *found,
        Route("/get-artifact", of_run, methods=["GET"]),
        Route("/model-versions/get-artifact", of_version, methods=["GET"]),
    ]


async def download(request: Request) -> Response:
    """Stream a file by its path in the store."""
    path = request.path_params["path"]

    def find() -> Located:
        return Located(path_key(_workspace(request), _plain(path)), _missing(path))

    return await stream(request, find, _headers(path))


async def upload(request: Request) -> Response:
    """Take a file, in place of what is there."""
    uploads = request.app.state.services.uploads
    path = request.path_params["path"]
    if path.endswith("/"):
        raise Refused("Artifact path must include a filename (cannot end with '/').")
    if "content-range" in request.headers:
        raise Refused("An artifact is sent whole: send it without Content-Range")
    told = request.headers.get("content-length", "")
    size = int(told) if told.isdecimal() else None
    key = path_key(_workspace(request), _plain(path))
    await uploads.take(key, request.stream(), size, owner=_workspace(request))
    return JSONResponse({})


async def of_run(request: Request) -> Response:
    """Stream an artifact of a run."""
    run_id = request.query_params.get("run_id") or _asked(request, "run_uuid", told="run_id")

    def root(store: Any) -> str:
        return str(store.get_run(run_id).info.artifact_uri)

    return await _below(request, "path", lambda: root(_get_tracking_store()))


async def of_version(request: Request) -> Response:
    """Stream a file of a registered version."""
    name, version = _asked(request, "name"), _asked(request, "version")

    def root() -> str:
        return str(_get_model_registry_store().get_model_version_download_uri(name, version))

    return await _below(request, "path", root)


async def of_logged_model(request: Request) -> Response:
    """Stream a file of a logged model."""
    model_id = request.path_params["model_id"]

    def root() -> str:
        return str(_get_tracking_store().get_logged_model(model_id).artifact_location)

    return await _below(request, "artifact_file_path", root)


async def _below(request: Request, parameter: str, root: Any) -> Response:
    """Stream a file below the root that MLflow knows."""
    path = _asked(request, parameter)
    workspace = _workspace(request)

    def find() -> Located:
        with ServerWorkspaceContext(workspace):
            uri = root()
        if urlsplit(uri).scheme != "mlflow-artifacts":
            raise NotFound(f"{uri} is outside of this service's store")
        below = _plain(path)
        if not below:
            raise NotFound(_missing(path))
        return Located(f"{artifact_key(workspace, uri)}/{below}", _missing(path))

    return await stream(request, find, _headers(path))


def _workspace(request: Request) -> str:
    """Give the namespace of the request, which the door has put there."""
    return request.headers[WORKSPACE_HEADER]


def _asked(request: Request, name: str, *, told: str = "") -> str:
    value = request.query_params.get(name)
    if not value:
        raise Refused(f"{told or name} is missing: say ?{told or name}=…")
    return value


def _plain(path: str) -> str:
    try:
        return normal(path.strip("/"))
    except BadPath as exc:
        raise Refused(f"Invalid path: {exc}") from exc


def _missing(path: str) -> str:
    return f"No such artifact: '{path}'"


def _headers(path: str) -> dict[str, str]:
    # Always an attachment: a browser must not show on our site what somebody uploaded.
    name = path.rstrip("/").rpartition("/")[2]
    return {
        "Content-Type": _guess_mime_type(name),
        "Content-Disposition": _content_disposition_attachment(name),
        "X-Content-Type-Options": "nosniff",
    }


async def failed(request: Request, exc: Exception) -> Response:
    """Answer what MLflow's stores refuse, and a database that is away."""
    if (gone := without_database(exc)) is not None:
        content = {"error_code": gone.code, "message": str(gone)}
        return JSONResponse(content, gone.status, gone.headers)
    if not isinstance(exc, MlflowException):
        raise exc
    status = exc.get_http_status_code()
    more = Unavailable("").headers if status == Unavailable.status else {}
    return Response(exc.serialize_as_json(), status, more, "application/json")
