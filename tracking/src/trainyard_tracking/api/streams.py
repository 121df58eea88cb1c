"""Bodies in and out without holding them in memory."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trainyard_tracking.content import Spooled, spool
from trainyard_tracking.lanes import in_thread, lane_of

_BINARY = "application/octet-stream"


@asynccontextmanager
async def spooled_body(request: Request) -> AsyncIterator[Spooled]:
    """Put the body of a request on disk for as long as the block runs."""
    folder: Path = request.app.state.services.spool
    with TemporaryDirectory(dir=folder, prefix="upload-") as own:
        yield await spool(request.stream(), Path(own) / "body")


async def stream(request: Request, find: Callable[[], tuple[int, Iterator[bytes]]]) -> Response:
    """Answer with size and bytes that `find` gives; for HEAD without the bytes."""
    size, chunks = await in_thread(request, find)
    headers = {"Content-Length": str(size)}
    if request.method == "HEAD":
        return Response(headers=headers, media_type=_BINARY)
    found = lane_of(request).iterate(chunks)
    return StreamingResponse(found, headers=headers, media_type=_BINARY)
