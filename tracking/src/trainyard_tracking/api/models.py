"""Routes of published models: manifests under their digests, and the files they list."""

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from trainyard_tracking.api.bodies import DIGEST, checked
from trainyard_tracking.api.streams import stream
from trainyard_tracking.auth.reading import SHARE, read
from trainyard_tracking.content import LARGEST_MANIFEST
from trainyard_tracking.lanes import in_thread


class Manifest(HTTPEndpoint):
    """One manifest."""

    async def head(self, request: Request) -> Response:
        return await self.get(request)

    async def get(self, request: Request) -> Response:
        content = request.app.state.services.content
        raw = await in_thread(request, content.manifest, *_key(request))
        return Response(raw, media_type="application/json")

    async def put(self, request: Request) -> Response:
        content = request.app.state.services.content
        key, stated = _key(request), request.headers.get("content-length", "")
        # Held in memory, as JSON is, and by whoever a version lets publish.
        share = request.scope[SHARE]
        raw = await read(request.receive, stated, LARGEST_MANIFEST, share)
        new = await in_thread(request, content.put_manifest, *key, raw)
        return Response(status_code=201 if new else 200)


async def file(request: Request) -> Response:
    """Stream one file of a model."""
    content = request.app.state.services.content
    path = request.path_params["path"]
    return await stream(request, lambda: content.file_of(*_key(request), path))


def _key(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], checked(DIGEST, request, "digest")
