"""The door of the service: ASGI middleware in front of every route, ours and MLflow's.

Reads the token, asks the gate, writes the request anew where a rule changed it, and keeps who
asked in a context variable, which the registry writes with. Refusals look like MLflow's errors.
"""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from mlflow.exceptions import MlflowException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from trainyard_api.contract import AUTHORIZATION_HEADER, TRACKING_API, WORKSPACE_HEADER

from trainyard_tracking.auth.call import Call, Reply, read_body, read_query
from trainyard_tracking.auth.gate import Gate, namespace_of
from trainyard_tracking.auth.rules import Access, Match
from trainyard_tracking.errors import Forbidden, Refused, TooLarge, Unavailable
from trainyard_tracking.identity import Identity, RunIdentity
from trainyard_tracking.lanes import Lane, Lanes, put

_log = logging.getLogger(__name__)

CALLER: ContextVar[Identity | None] = ContextVar("trainyard_caller", default=None)
ROUTE_KEY = "trainyard.route"
"""Where the template of the route is left in the ASGI scope, for the metrics."""

_LARGEST_BODY = 64 << 20
_WORKSPACE = WORKSPACE_HEADER.lower().encode()
_AUTHORIZATIONS = (b"authorization", AUTHORIZATION_HEADER.lower().encode())
_STREAMED = "/api/2.0/mlflow-artifacts/artifacts/{}"
"""The route whose body is a file: never read here."""


@dataclass(slots=True)
class Door:
    """ASGI application that lets requests through to `inside`."""

    inside: ASGIApp
    gate: Gate
    lanes: Lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inside(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            reply, onward = await self._admit(scope, receive)
        except Refused as refusal:
            await _refuse(send, refusal)
            return
        except MlflowException as exc:
            await _answer(send, exc.get_http_status_code(), json.loads(exc.serialize_as_json()))
            return
        if reply is not None:
            await _answer(send, 200, reply.content)
            return
        await self.inside(scope, onward, send)

    async def _admit(self, scope: Scope, receive: Receive) -> tuple[Reply | None, Receive]:
        match = self.gate.match(scope["method"], scope["path"])
        scope[ROUTE_KEY] = match.template if match else "unknown"
        if match is not None and match.rule.people is Access.OPEN:
            CALLER.set(None)
            return None, receive
        headers = dict(scope["headers"])
        lane = _lane(self.lanes, match)
        put(scope, lane)
        who = await lane.run(self.gate.identify, _token(headers))
        if match is None:
            raise Forbidden(f"{scope['method']} {scope['path']} is no route of this service")
        CALLER.set(who)
        call = _call(scope, headers, match, who)
        rewritten = isinstance(who, RunIdentity) and match.template != _STREAMED
        if rewritten:
            call.raw = await _read(receive, headers)
            if _has_json(call):
                call.body = read_body(call.raw)
        reply = await lane.run(self.gate.decide, match, call, who)
        # The call's namespace is the only one that anything inside will see.
        _set_header(scope, _WORKSPACE, call.namespace)
        if not rewritten:
            return reply, receive
        return reply, _rewrite(scope, call, receive)


def _lane(lanes: Lanes, match: Match | None) -> Lane:
    """Tell in which lane a request is looked at and, if it is for one of our routes, answered."""
    if match is None or not match.template.startswith(f"{TRACKING_API}/"):
        return lanes.door
    if match.template.endswith("/summary"):
        return lanes.calls
    if match.rule.people is not Access.OPERATOR:
        return lanes.content
    # The first is the route that records a Run.
    writes = match.template.endswith(("/runs/{}", "/finish"))
    return lanes.records if writes else lanes.calls


def _call(scope: Scope, headers: dict[bytes, bytes], match: Match, who: Identity) -> Call:
    asked = headers.get(_WORKSPACE, b"").decode("latin-1")
    return Call(
        method=scope["method"],
        path=scope["path"],
        namespace=namespace_of(match, who, asked=asked),
        arguments=match.arguments,
        query=read_query(scope["query_string"]),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()},
    )


def _token(headers: dict[bytes, bytes]) -> str:
    for name in reversed(_AUTHORIZATIONS):
        kind, _, token = headers.get(name, b"").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
    return ""


def _has_json(call: Call) -> bool:
    # MLflow's handlers read a GET from its query, but from its body if there is no query.
    return call.method not in {"GET", "HEAD"} and call.path != "/v1/traces"


async def _read(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    stated = headers.get(b"content-length", b"0")
    if stated.isdigit() and int(stated) > _LARGEST_BODY:
        raise TooLarge(f"A request may have {_LARGEST_BODY >> 20} MiB; files go to artifact routes")
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unavailable("The client went away in the middle of its request")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > _LARGEST_BODY:
            raise TooLarge(f"A request may have {_LARGEST_BODY >> 20} MiB")
        more = message.get("more_body", False)
    return b"".join(chunks)


def _rewrite(scope: Scope, call: Call, receive: Receive) -> Receive:
    body = call.raw if call.body is None else json.dumps(call.body).encode()
    if call.method in {"GET", "HEAD"}:
        body = b""
    scope["query_string"] = call.query_string
    for name in ("x-mlflow-experiment-id", "x-mlflow-run-id"):
        if name in call.headers:
            _set_header(scope, name.encode(), call.headers[name])
    _set_header(scope, b"content-length", str(len(body)))
    waiting = [body]

    async def once() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return once


def _set_header(scope: Scope, name: bytes, value: str) -> None:
    kept = [(key, old) for key, old in scope["headers"] if key != name]
    scope["headers"] = [*kept, (name, value.encode("latin-1"))]


async def _refuse(send: Send, refusal: Refused) -> None:
    content = {"error_code": refusal.code, "message": str(refusal)}
    await _answer(send, refusal.status, content, refusal.headers)


async def _answer(
    send: Send, status: int, content: object, more: Mapping[str, str] | None = None
) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((key.lower().encode(), value.encode()) for key, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
