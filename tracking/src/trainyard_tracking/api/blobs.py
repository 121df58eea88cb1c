"""Routes of blobs: written once under the digest of their bytes."""

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from trainyard_tracking.api.bodies import DIGEST, checked
from trainyard_tracking.api.streams import spooled_body, stream
from trainyard_tracking.errors import NotFound
from trainyard_tracking.lanes import in_thread


class Blob(HTTPEndpoint):
    """One blob."""

    async def head(self, request: Request) -> Response:
        namespace, digest = _key(request)
        content = request.app.state.services.content
        size = await in_thread(request, content.blob_size, namespace, digest)
        if size is None:
            raise NotFound(f"No blob sha256:{digest} in namespace {namespace}")
        return Response(headers={"Content-Length": str(size)})

    async def get(self, request: Request) -> Response:
        content = request.app.state.services.content
        return await stream(request, lambda: content.read_blob(*_key(request)))

    async def put(self, request: Request) -> Response:
        content = request.app.state.services.content
        async with spooled_body(request) as body:
            new = await in_thread(request, lambda: content.put_blob(*_key(request), body))
        return Response(status_code=201 if new else 200)


def _key(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], checked(DIGEST, request, "digest")
