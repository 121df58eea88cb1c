"""Routes of a version's source: what files it has, and their bytes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trainyard_tracking.api.streams import stream
from trainyard_tracking.content import Located
from trainyard_tracking.lanes import in_thread


async def source(request: Request) -> Response:
    """Resolve the source and list its files."""
    sources = request.app.state.services.sources

    def work() -> dict[str, Any]:
        found = sources.of(*_key(request))
        files = [{"path": entry.path, "size": entry.size} for entry in sources.files(found)]
        return {"uri": found.uri, "runID": found.run_id, "files": files}

    return JSONResponse(await in_thread(request, work))


async def file(request: Request) -> Response:
    """Stream one file of the source."""
    sources = request.app.state.services.sources

    def find() -> Located:
        found: Located = sources.file_of(sources.of(*_key(request)), request.path_params["path"])
        return found

    return await stream(request, find)


def _key(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], request.path_params["name"]
