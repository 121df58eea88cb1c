"""Routes of blobs: written once under the digest of their bytes, in one request or in slices.

    PUT  …/blobs/sha256:D                                   201 written, 200 it was there
    PUT  …/blobs/sha256:D  Content-Range: bytes A-B/TOTAL   the same for the last slice, 202 before
    PUT  …/blobs/sha256:D  Content-Range: bytes */TOTAL     201 or 200: all is here, put it together
    GET  …/blobs/sha256:D/upload                            how far it is

A slice begins where the one before ended, or where GET says after anything went wrong: 409 tells
that it begins elsewhere, or that another request sends the same file. 202 says the next offset.
Where the store failed to put the parts together, the offset is the size and the file not complete:
the third form tries that again and sends nothing.
"""

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trainyard_tracking.api.bodies import DIGEST, checked
from trainyard_tracking.api.streams import stream
from trainyard_tracking.lanes import in_thread
from trainyard_tracking.ranges import sent


class Blob(HTTPEndpoint):
    """One blob."""

    async def head(self, request: Request) -> Response:
        return await self.get(request)

    async def get(self, request: Request) -> Response:
        content = request.app.state.services.content
        return await stream(request, lambda: content.blob(*_key(request)))

    async def put(self, request: Request) -> Response:
        services = request.app.state.services
        uploads = services.uploads
        namespace, digest = _key(request)
        some = sent(request.headers)
        key = (await in_thread(request, services.content.blob, namespace, digest)).key
        new = await uploads.take_slice(key, request.stream(), some, digest=digest, owner=namespace)
        if new is None:
            return JSONResponse({"offset": uploads.offset(key)}, status_code=202)
        return Response(status_code=201 if new else 200)


async def upload(request: Request) -> Response:
    """Tell how many bytes of a blob are here, and whether that is all."""
    services = request.app.state.services
    key = (await in_thread(request, services.content.blob, *_key(request))).key
    stat = await in_thread(request, services.objects.stat, key)
    offset = services.uploads.offset(key) if stat is None else stat.size
    return JSONResponse({"complete": stat is not None, "offset": offset})


def _key(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], checked(DIGEST, request, "digest")
