"""Routes of runs: record, finish, list the active ones, sum up; and the audit trail."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from trainyard_api.paths import is_plain

from trainyard_tracking import recording
from trainyard_tracking.api.bodies import RUN_ID, FinishBody, RunBody, checked, read, whole
from trainyard_tracking.attempts import Attempt
from trainyard_tracking.errors import Busy, Conflict, NotFound, Refused
from trainyard_tracking.lanes import in_thread
from trainyard_tracking.ledger import Entry
from trainyard_tracking.logs import LogRef, Tail, WrongOffset
from trainyard_tracking.recording import Ending, RunRequest
from trainyard_tracking.sources import artifact_root, forget_artifact_root
from trainyard_tracking.summary import summary as summary_of

_AGAIN = 5
_LONGEST_NAMES = 500
"""Of an audit line; a key of the object store may have 1024 bytes."""


async def put(request: Request) -> Response:
    """Record a Run under its own id, with nothing in it of an earlier attempt."""
    body: RunBody = await read(request, RunBody)
    wanted = RunRequest(
        run_id=checked(RUN_ID, request, "run_id"),
        namespace=request.path_params["namespace"],
        name=body.name,
        experiment=body.experiment,
        tags=body.tags,
        start_time=body.start_time,
        parameters=body.texts(),
        attempt=Attempt(body.attempt, body.previous.status, body.previous.end_time),
    )
    ledger = request.app.state.services.ledger

    def work() -> recording.Recorded:
        made = recording.record(wanted)
        if made.is_clean:
            # What is remembered is of an earlier attempt, or of a database that was lost.
            forget_artifact_root(wanted.namespace, made.run_id)
            ledger.forget(made.run_id)
        ledger.open(Entry(made.run_id, wanted.namespace, wanted.name, made.experiment_id))
        return made

    made = await in_thread(request, work)
    return JSONResponse(
        {
            "runID": made.run_id,
            "experimentID": made.experiment_id,
            "artifactURI": made.artifact_uri,
        }
    )


async def finish(request: Request) -> Response:
    """Archive a Run's logs and end it; its token is good for ten more minutes.

    Logs that nobody names are archived, too: whoever finishes a Run that was deleted knows no
    attempts. The last bytes of a log may come along: appending them would be a call of its own.
    """
    body: FinishBody = await read(request, FinishBody)
    run_id = checked(RUN_ID, request, "run_id")
    ending = Ending(body.status, body.end_time, body.texts())
    named = _tails(body)
    namespace = request.path_params["namespace"]
    services = request.app.state.services

    def look() -> tuple[str, bool]:
        try:
            return artifact_root(namespace, run_id), services.logs.has_some(namespace, run_id)
        except NotFound:
            entry = services.ledger.find(run_id)
            if entry and entry.namespace == namespace:
                # Gone for good: it is not to be listed as active for ever.
                services.ledger.close(run_id)
            raise

    def archive(root: str) -> list[LogRef]:
        try:
            logs: list[LogRef] = services.logs.archive_all(namespace, run_id, root, named=named)
        except WrongOffset as exc:
            raise Conflict(f"{exc}, and its tail does not begin there: append it") from exc
        return logs

    def end() -> dict[str, Any]:
        found = recording.finish(run_id, namespace, ending)
        services.ledger.close(run_id)
        return found

    with _alone(services.finishing, run_id):
        root, has_logs = await in_thread(request, look)
        # Not in a place of those who record Runs: an object store may hang.
        logs = await services.lanes.archives.run(archive, root) if named or has_logs else []
        found = await in_thread(request, end)
    return JSONResponse({**found, "logs": {log.name: log.artifact for log in logs}})


@contextmanager
def _alone(finishing: set[str], run_id: str) -> Iterator[None]:
    """Finish a Run once at a time: who gave up and asks again takes no second place.

    Raises:
        Busy: it is being finished.
    """
    if run_id in finishing:
        raise Busy(f"Run {run_id} is being finished: ask again in {_AGAIN} s", _AGAIN)
    finishing.add(run_id)
    try:
        yield
    finally:
        finishing.discard(run_id)


def _tails(body: FinishBody) -> dict[tuple[int, int], Tail | None]:
    """Give the logs that are named, whichever way, and their last bytes."""
    named: dict[tuple[int, int], Tail | None] = {}
    for log in body.logs:
        named.setdefault((log.attempt, log.index))
        if log.tail:
            named[log.attempt, log.index] = Tail(log.tail.offset, log.tail.place, log.tail.data)
    return named


async def active(request: Request) -> Response:
    """List the Runs that have not finished."""
    if request.query_params.get("state") != "active":
        raise Refused("Only the active Runs are listed: add ?state=active")
    ledger = request.app.state.services.ledger
    entries = await in_thread(request, ledger.active, request.path_params["namespace"])
    runs = [{"runID": entry.run_id, "name": entry.name} for entry in entries]
    return JSONResponse({"runs": runs})


async def summary(request: Request) -> Response:
    """Sum up any run of the namespace."""
    run_id = checked(RUN_ID, request, "run_id")
    namespace = request.path_params["namespace"]
    return JSONResponse(await in_thread(request, summary_of, run_id, namespace))


async def audit(request: Request) -> Response:
    """Append one line to the audit trail; the same line again is the same object."""
    content = await whole(request)
    try:
        line = json.loads(content)
        model, time = str(line["model"]), str(line["time"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise Refused("An audit line is a JSON object with at least model and time") from exc
    if len(model + time) > _LONGEST_NAMES or not all(_is_name(one) for one in (model, time)):
        raise Refused(
            "model and time of an audit line have no slashes and no control characters, and"
            f" {_LONGEST_NAMES} characters together"
        )
    content = json.dumps(line, sort_keys=True).encode() + b"\n"
    mark = hashlib.sha256(content).hexdigest()[:16]
    key = f"audit/{request.path_params['namespace']}/{model}/{time}-{mark}.json"

    objects = request.app.state.services.objects
    await in_thread(request, lambda: objects.write(key, content, new=True))
    return JSONResponse({"key": key})


def _is_name(text: str) -> bool:
    """Tell whether a text can be the name of a file."""
    return is_plain(text) and "/" not in text
