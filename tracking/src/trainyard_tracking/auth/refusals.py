"""What the door answers itself: refusals, which look like MLflow's errors."""

import json
from collections.abc import Mapping

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope, Send
from trainyard_api.contract import TRACKING_API

from trainyard_tracking.answers import without_database
from trainyard_tracking.errors import Busy, Forbidden, NoDatabase, NoRoute, Refused


def no_route(scope: Scope) -> Refused:
    """Say that there is no such route.

    Ours, the operator above all, take a 404 for a word about what they asked for.
    """
    kind = Forbidden if scope["path"].startswith(f"{TRACKING_API}/") else NoRoute
    return kind(f"{scope['method']} {scope['path']} is no route of this service")


async def fail(scope: Scope, send: Send, exc: Refused | MlflowException | SQLAlchemyError) -> None:
    """Answer what kept a request out; raise it again if it is a fault of ours."""
    gone = exc if isinstance(exc, Refused) else without_database(exc)
    if isinstance(gone, NoDatabase):
        # Ours, the operator above all, know a service that is away by 503, and ask it less.
        ours = scope["path"].startswith(f"{TRACKING_API}/")
        await refuse(send, gone if ours else _not_begun(gone))
    elif gone is not None:
        await refuse(send, gone)
    elif isinstance(exc, MlflowException):
        await answer(send, exc.get_http_status_code(), json.loads(exc.serialize_as_json()))
    else:
        raise exc


async def refuse(send: Send, refusal: Refused) -> None:
    """Answer what a refusal says, with its headers."""
    content = {"error_code": refusal.code, "message": str(refusal)}
    await answer(send, refusal.status, content, refusal.headers)


def _not_begun(gone: NoDatabase) -> Busy:
    """Say that nothing was done yet, so that clients repeat writes too."""
    return Busy(str(gone), int(gone.headers["Retry-After"]))


async def answer(
    send: Send, status: int, content: object, more: Mapping[str, str] | None = None
) -> None:
    """Answer with JSON."""
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((key.lower().encode(), value.encode()) for key, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
