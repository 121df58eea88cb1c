"""Routes of files by what they are of: a blob, a published model, the source of a version.

Blobs are written once under the digest of their bytes, in one request or in slices.

    PUT  …/blobs/sha256:D                                   201 written, 200 it was there
    PUT  …/blobs/sha256:D  Content-Range: bytes A-B/TOTAL   the same for the last slice, 202 before
    PUT  …/blobs/sha256:D  Content-Range: bytes */TOTAL     201 or 200: all is here, put it together
    GET  …/blobs/sha256:D/upload                            how far it is

A slice begins where the one before ended, or where GET says after anything went wrong: 409 tells
that it begins elsewhere, or that another request sends the same file. 202 says the next offset.
Where the store failed to put the parts together, the offset is the size and the file not complete:
the third form tries that again and sends nothing.
"""

from typing import Any

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trainyard_tracking.api.bodies import DIGEST, checked
from trainyard_tracking.api.ranges import sent
from trainyard_tracking.api.streams import stream
from trainyard_tracking.auth.reading import SHARE, read
from trainyard_tracking.content import LARGEST_MANIFEST, Located
from trainyard_tracking.lanes import in_thread, owners_in


class Blob(HTTPEndpoint):
    """One blob."""

    async def head(self, request: Request) -> Response:
        return await self.get(request)

    async def get(self, request: Request) -> Response:
        content = request.app.state.services.content
        return await stream(request, lambda: content.blob(*_under_digest(request)))

    async def put(self, request: Request) -> Response:
        services = request.app.state.services
        uploads = services.uploads
        namespace, digest = _under_digest(request)
        some = sent(request.headers)
        key = (await in_thread(request, services.content.blob, namespace, digest)).key
        new = await uploads.take_slice(key, request.stream(), some, digest=digest, owner=namespace)
        if new is None:
            return JSONResponse({"offset": uploads.offset(key)}, status_code=202)
        return Response(status_code=201 if new else 200)


async def upload(request: Request) -> Response:
    """Tell how many bytes of a blob are here, and whether that is all."""
    services = request.app.state.services
    key = (await in_thread(request, services.content.blob, *_under_digest(request))).key
    stat = await in_thread(request, services.objects.stat, key)
    offset = services.uploads.offset(key) if stat is None else stat.size
    return JSONResponse({"complete": stat is not None, "offset": offset})


class Manifest(HTTPEndpoint):
    """One manifest."""

    async def head(self, request: Request) -> Response:
        return await self.get(request)

    async def get(self, request: Request) -> Response:
        content = request.app.state.services.content
        raw = await in_thread(request, content.manifest, *_under_digest(request))
        return Response(raw, media_type="application/json")

    async def put(self, request: Request) -> Response:
        services = request.app.state.services
        key, stated = _under_digest(request), request.headers.get("content-length", "")
        # Held in memory, as JSON is, and by whoever a version lets publish.
        share = request.scope[SHARE]
        raw = await read(request.receive, stated, LARGEST_MANIFEST, share)
        owners = owners_in(request.scope)
        write = services.content.put_manifest
        new = await services.lanes.manifests.run(write, *key, raw, owners=owners)
        return Response(status_code=201 if new else 200)


async def model_file(request: Request) -> Response:
    """Stream one file of a model."""
    content = request.app.state.services.content
    path = request.path_params["path"]
    return await stream(request, lambda: content.file_of(*_under_digest(request), path))


async def source(request: Request) -> Response:
    """Resolve the source of a version and list its files."""
    sources = request.app.state.services.sources

    def work() -> dict[str, Any]:
        found = sources.of(*_version(request))
        files = [{"path": entry.path, "size": entry.size} for entry in sources.files(found)]
        return {"uri": found.uri, "runID": found.run_id, "files": files}

    return JSONResponse(await in_thread(request, work))


async def source_file(request: Request) -> Response:
    """Stream one file of the source."""
    sources = request.app.state.services.sources

    def find() -> Located:
        found: Located = sources.file_of(
            sources.of(*_version(request)), request.path_params["path"]
        )
        return found

    return await stream(request, find)


def _under_digest(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], checked(DIGEST, request, "digest")


def _version(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], request.path_params["name"]
