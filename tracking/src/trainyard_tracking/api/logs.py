"""Routes of the logs of attempts: offset, append, stream. Finishing archives them."""

from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from trainyard_api.contract import LOG_PLACE_HEADER, UPLOAD_OFFSET_HEADER

from trainyard_tracking.api.bodies import NUMBER, OFFSET, RUN_ID, checked, parsed, whole
from trainyard_tracking.errors import NotFound
from trainyard_tracking.lanes import each_in_thread, in_thread
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.logs import LogRef, LogState, WrongOffset
from trainyard_tracking.sources import known_artifact_root


class Log(HTTPEndpoint):
    """The log of an attempt's pod."""

    async def head(self, request: Request) -> Response:
        ref = await _ref(request)
        state = await in_thread(request, request.app.state.services.logs.state, ref)
        return Response(headers=_headers(state))

    async def get(self, request: Request) -> Response:
        ref = await _ref(request)
        offset = parsed(OFFSET, request.query_params.get("offset", "0"), "offset, in bytes")
        logs = request.app.state.services.logs
        chunks = await in_thread(request, logs.read, ref, offset)
        return StreamingResponse(
            each_in_thread(request, chunks), media_type="text/plain; charset=utf-8"
        )

    async def patch(self, request: Request) -> Response:
        ref = await _ref(request)
        told = request.headers.get(UPLOAD_OFFSET_HEADER, "")
        offset = parsed(OFFSET, told, f"{UPLOAD_OFFSET_HEADER}, where the bytes belong")
        data = await whole(request)
        place = request.headers.get(LOG_PLACE_HEADER, "")

        def work() -> LogState:
            logs = request.app.state.services.logs
            found: LogState = logs.append(ref, offset=offset, place=place, data=data)
            return found

        try:
            state = await in_thread(request, work)
        except WrongOffset as exc:
            content = {"error_code": "RESOURCE_CONFLICT", "message": str(exc)}
            return JSONResponse(content, status_code=409, headers=_headers(exc.state))
        return Response(status_code=204, headers=_headers(state))


async def _ref(request: Request) -> LogRef:
    namespace = request.path_params["namespace"]
    run_id = checked(RUN_ID, request, "run_id")
    attempt = checked(NUMBER, request, "attempt")
    index = checked(NUMBER, request, "index") if "index" in request.path_params else 0
    ledger = request.app.state.services.ledger
    root = await in_thread(request, _root, namespace, run_id, ledger)
    return LogRef(namespace, run_id, attempt, root, index)


def _root(namespace: str, run_id: str, ledger: Ledger) -> str | None:
    entry = ledger.find(run_id)
    if entry is not None and entry.namespace != namespace:
        # What is in the spool is of the namespace that had the name before.
        raise NotFound(f"Run {run_id} is not recorded in namespace {namespace}")
    # The record may be lost while the program runs, and is made anew at its end at the latest.
    try:
        return known_artifact_root(namespace, run_id)
    except NotFound:
        return None


def _headers(state: LogState) -> dict[str, str]:
    return {
        UPLOAD_OFFSET_HEADER: str(state.offset),
        LOG_PLACE_HEADER: state.place,
        "Cache-Control": "no-store",
    }
