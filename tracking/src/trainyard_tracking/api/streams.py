"""Files out, without holding them: a whole one in one request to the store, or a part of it."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trainyard_tracking.api.ranges import asked
from trainyard_tracking.content import Located
from trainyard_tracking.errors import NotFound
from trainyard_tracking.lanes import each_in_thread, in_thread
from trainyard_tracking.objects import Objects, Opened, Stat

_BINARY = "application/octet-stream"


async def stream(
    request: Request, find: Callable[[], Located], more: Mapping[str, str] | None = None
) -> Response:
    """Answer with the file that `find` locates; for HEAD without its bytes.

    Raises:
        NotFound: it is not there.
        Unsatisfiable: the range that is asked for begins behind its end.
    """
    objects: Objects = request.app.state.services.objects
    headers = {"Content-Type": _BINARY, **(more or {})}
    if request.method != "HEAD" and "range" not in request.headers:
        found, located = await in_thread(request, _open, objects, find)
        headers |= _of(located, found.stat)
        return StreamingResponse(each_in_thread(request, found.chunks), headers=headers)
    stat, located = await in_thread(request, _stat, objects, find)
    headers |= _of(located, stat)
    span = None if request.method == "HEAD" else asked(request.headers, _tagged(located, stat))
    if request.method == "HEAD":
        return Response(headers=headers)
    if span is None:
        chunks = await in_thread(request, objects.read, located.key)
        return StreamingResponse(each_in_thread(request, chunks), headers=headers)
    headers |= {
        "Content-Length": str(span.end - span.begin),
        "Content-Range": f"bytes {span.begin}-{span.end - 1}/{stat.size}",
    }
    length = span.end - span.begin
    chunks = await in_thread(request, objects.read, located.key, span.begin, length)
    return StreamingResponse(each_in_thread(request, chunks), status_code=206, headers=headers)


def _open(objects: Objects, find: Callable[[], Located]) -> tuple[Opened, Located]:
    located = find()
    opened = objects.open(located.key)
    if opened is None:
        raise NotFound(located.missing)
    return opened, located


def _stat(objects: Objects, find: Callable[[], Located]) -> tuple[Stat, Located]:
    located = find()
    stat = objects.stat(located.key)
    if stat is None:
        raise NotFound(located.missing)
    return stat, located


def _of(located: Located, stat: Stat) -> dict[str, str]:
    told = {"Content-Length": str(stat.size), "Accept-Ranges": "bytes"}
    etag = _tagged(located, stat).etag
    return {**told, "ETag": etag} if etag else told


def _tagged(located: Located, stat: Stat) -> Stat:
    """Tag content by its digest: the store's own tag depends on the parts it came in."""
    return Stat(stat.size, f'"sha256:{located.digest}"') if located.digest else stat
