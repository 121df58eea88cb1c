"""The door of the service: ASGI middleware in front of every route, ours and MLflow's.

Reads the token, asks the gate, writes the request anew where a rule changed it, and keeps who
asked in a context variable, which the registry writes with. Refusals look like MLflow's errors.
"""

import json
import logging
from asyncio import CancelledError
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from trainyard_api.contract import AUTHORIZATION_HEADER, TRACKING_API, WORKSPACE_HEADER

from trainyard_tracking.answers import without_database
from trainyard_tracking.auth.call import Body, Call, Reply, read_body, read_query, with_snake_keys
from trainyard_tracking.auth.gate import Gate, namespace_of
from trainyard_tracking.auth.limits import check_body, check_query, parsed
from trainyard_tracking.auth.narrowing import NARROWED, Family
from trainyard_tracking.auth.reading import (
    GRAPHQL,
    SHARE,
    SPANS,
    UPLOAD,
    Budget,
    Share,
    inflated,
    largest,
    read,
)
from trainyard_tracking.auth.rules import Access, Match
from trainyard_tracking.deadlines import LIMIT, Limit, is_read
from trainyard_tracking.errors import (
    Busy,
    Forbidden,
    NoDatabase,
    NoRoute,
    Refused,
    Unavailable,
)
from trainyard_tracking.identity import Identity, Person, RunIdentity
from trainyard_tracking.lanes import Lane, Lanes, in_lane, own, put
from trainyard_tracking.tokens import is_ours

_log = logging.getLogger(__name__)

CALLER: ContextVar[Identity | None] = ContextVar("trainyard_caller", default=None)
SHOWN: ContextVar[str | None] = ContextVar("trainyard_shown", default=None)
"""The workspace that MLflow's UI is in, or empty; None for any other client."""
ROUTE_KEY = "trainyard.route"
"""Where the template of the route is left in the ASGI scope, for the metrics."""

_WORKSPACE = WORKSPACE_HEADER.lower().encode()
_AUTHORIZATIONS = (b"authorization", AUTHORIZATION_HEADER.lower().encode())
_UI_UPLOAD = UPLOAD.replace("/api/", "/ajax-api/", 1)
_STREAMED = "/api/2.0/mlflow-artifacts/artifacts/{...}"
"""The route whose body is a file: never read here."""
_OPERATORS = 10
"""So many times longer may take what the operator asks: it records what there is no second of."""
_JUDGED = frozenset(
    {
        *_AUTHORIZATIONS,
        _WORKSPACE,
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"x-mlflow-experiment-id",
        b"x-mlflow-run-id",
    }
)
"""Headers that rules read: of two of one name, MLflow might read the other."""


@dataclass(slots=True)
class Door:
    """ASGI application that lets requests through to `inside`."""

    inside: ASGIApp
    gate: Gate
    lanes: Lanes
    query_seconds: float = 30.0
    """What a query of a request may take."""
    budget: Budget = field(default_factory=Budget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inside(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._serve(scope, receive, noting)
        except CancelledError:
            # The server cancels what takes longer than its end waits for, and nothing else.
            if has_begun:
                raise
            await _refuse(send, Unavailable("The service restarts: send it again"))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.budget.request() as share:
            try:
                reply, onward = await self._admit(scope, receive, share)
            except (Refused, MlflowException, SQLAlchemyError) as exc:
                await _fail(scope, send, exc)
                return
            if reply is not None:
                await _answer(send, 200, reply.content)
                return
            if (limit := LIMIT.get()) is not None:
                LIMIT.set(replace(limit, asks=_can_ask_less(scope)))
            await self.inside(scope, onward, send)

    async def _admit(
        self, scope: Scope, receive: Receive, share: Share
    ) -> tuple[Reply | None, Receive]:
        match = self.gate.match(scope["method"], scope["path"])
        scope[ROUTE_KEY] = match.template if match else "unknown"
        if match is not None and match.rule.people is Access.OPEN:
            CALLER.set(None)
            return None, receive
        share.count()
        headers = _headers(scope)
        match, call, who = await self._enter(scope, headers, match)
        share.owners = _owners(call, who)
        own(scope, share.owners)
        scope[SHARE] = share
        if _is_streamed(match):
            reply = await in_lane(scope, self.gate.decide, match, call, who)
            _rewrite_head(scope, call)
            return reply, receive
        if _has_body(match, call, who):
            stated = headers.get(b"content-length", b"0").decode("latin-1")
            call.raw = await read(receive, stated, largest(match.template), share)
        reply, body = await in_lane(scope, self._decide, match, call, who)
        if call.narrowed and isinstance(who, RunIdentity):
            NARROWED.set(Family(who.run_id, who.namespace))
        _rewrite_head(scope, call)
        _set_header(scope, b"content-length", str(len(body)))
        return reply, _again(body, receive)

    async def _enter(
        self, scope: Scope, headers: dict[bytes, bytes], match: Match | None
    ) -> tuple[Match, Call, Identity]:
        """Find out who asks and whether they may at all, before anything of a body is taken."""
        token = _token(headers)
        is_operator = self.gate.is_known_operator(token)
        first = _first_lane(self.lanes, match, token, is_operator=is_operator)

        def work() -> tuple[Match, Call, Identity]:
            who = self.gate.identify(token)
            if match is None:
                raise _no_route(scope)
            call = _call(scope, headers, match, who)
            self.gate.permit(match, call, who)
            return match, call, who

        LIMIT.set(Limit(self.query_seconds))
        found = await first.run(work)
        # By now its right is asked, where the route is the operator's.
        is_operator = is_operator or self.gate.is_known_operator(token)
        if is_operator:
            LIMIT.set(Limit(self.query_seconds * _OPERATORS))
        put(scope, _lane(self.lanes, found[0], token, is_operator=is_operator))
        CALLER.set(found[2])
        # The next request of a connection may begin in the context of the one before it.
        NARROWED.set(None)
        is_ui = scope["path"].startswith("/ajax-api/")
        SHOWN.set(headers.get(_WORKSPACE, b"").decode("latin-1") if is_ui else None)
        return found

    def _decide(self, match: Match, call: Call, who: Identity) -> tuple[Reply | None, bytes]:
        """Decide about a call whose body is at hand; give the body that MLflow is to see."""
        check_query(call)
        sent = None
        if match.template == SPANS:
            _unpack(call)
        elif _has_json(call):
            sent = parsed(call.raw)
            check_body(sent)
            if match.template == GRAPHQL and not isinstance(sent, dict):
                raise Refused("A question in GraphQL is a JSON object with query")
            call.body = _body(call.raw, sent, who)
        reply = self.gate.decide(match, call, who)
        if call.method in {"GET", "HEAD"}:
            # Their handlers take a body for the query where there is none.
            return reply, b""
        is_same = call.body == sent and not isinstance(who, RunIdentity)
        if call.body is None or is_same:
            return reply, call.raw
        return reply, json.dumps(call.body).encode()


def _no_route(scope: Scope) -> Refused:
    """Say that there is no such route.

    Ours, the operator above all, take a 404 for a word about what they asked for.
    """
    kind = Forbidden if scope["path"].startswith(f"{TRACKING_API}/") else NoRoute
    return kind(f"{scope['method']} {scope['path']} is no route of this service")


def _is_streamed(match: Match) -> bool:
    """Tell whether a body is read by its handler, which has limits of its own."""
    return match.template == _STREAMED or match.template.startswith(f"{TRACKING_API}/")


def _has_body(match: Match, call: Call, who: Identity) -> bool:
    """Tell whether anybody looks at the body of a call."""
    if call.method in {"GET", "HEAD"}:
        return False
    return not isinstance(who, Person) or match.rule.answer is None


def _owners(call: Call, who: Identity) -> tuple[str, ...]:
    """Give those whose share of the budget the body counts against.

    People name a namespace, and were asked for their rights in it only where the route wants some;
    so it counts against them as well.
    """
    if not isinstance(who, Person):
        return (f"namespace {who.namespace}",)
    named = (f"namespace {call.namespace}",) if call.is_in_namespace else ()
    return tuple(dict.fromkeys((who.owner, *named)))


def _body(raw: bytes, sent: object, who: Identity) -> Body | None:
    """Give the object that was sent; that of a Run must be one, each field spelled one way."""
    if isinstance(who, RunIdentity):
        return with_snake_keys(sent) if isinstance(sent, dict) else read_body(raw)
    return dict(sent) if isinstance(sent, dict) else None


def _headers(scope: Scope) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _JUDGED and found.get(name, value) != value:
            raise Refused(f"Header {name.decode('latin-1')} is there twice; keep one")
        found[name] = value
    return found


def _first_lane(lanes: Lanes, match: Match | None, token: str, *, is_operator: bool) -> Lane:
    """Tell in which lane it is found out who asks: nobody is in the operator's but the operator."""
    if is_operator and match is not None:
        return _lane(lanes, match, token, is_operator=True)
    if match is not None and _is_operators(match) and not is_ours(token):
        return lanes.names
    return lanes.door if is_ours(token) else lanes.people


def _is_operators(match: Match) -> bool:
    """Tell whether a route is one that the operator calls for what it does itself."""
    is_private = match.template.startswith(f"{TRACKING_API}/")
    return match.rule.people is Access.OPERATOR or (
        is_private and match.template.endswith("/summary")
    )


def _lane(lanes: Lanes, match: Match, token: str, *, is_operator: bool) -> Lane:
    """Tell in which lane a request is looked at and, if it is for one of our routes, answered."""
    if not match.template.startswith(f"{TRACKING_API}/"):
        return lanes.door if is_ours(token) else lanes.people
    if not is_operator or not _is_operators(match):
        return lanes.content
    # The first is the route that records a Run.
    writes = match.template.endswith(("/runs/{}", "/finish"))
    return lanes.records if writes else lanes.calls


def _call(scope: Scope, headers: dict[bytes, bytes], match: Match, who: Identity) -> Call:
    is_in_namespace = _is_in_namespace(match)
    # Without rights that are asked for, whether there is such a namespace is not told either.
    asked = headers.get(_WORKSPACE, b"").decode("latin-1") if is_in_namespace else ""
    return Call(
        method=scope["method"],
        path=scope["path"],
        namespace=namespace_of(match, who, asked=asked),
        arguments=match.arguments,
        query=read_query(scope["query_string"]),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()},
        is_in_namespace=is_in_namespace,
    )


def _is_in_namespace(match: Match) -> bool:
    if match.template.startswith(f"{TRACKING_API}/"):
        return True
    return not isinstance(match.rule.people, Access) or isinstance(match.rule.answer, str)


def _can_ask_less(scope: Scope) -> bool:
    """Tell whether a question is one of MLflow's: ours are of one run, which can't be narrowed."""
    path = scope["path"]
    return not path.startswith(f"{TRACKING_API}/") and is_read(scope["method"], path)


def _token(headers: dict[bytes, bytes]) -> str:
    for name in reversed(_AUTHORIZATIONS):
        kind, _, token = headers.get(name, b"").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
    return ""


def _has_json(call: Call) -> bool:
    # MLflow's handlers read a GET from its query, but from its body if there is no query.
    return call.method not in {"GET", "HEAD"} and call.path not in {SPANS, UPLOAD, _UI_UPLOAD}


def _unpack(call: Call) -> None:
    encoding = call.headers.pop("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        call.raw = inflated(call.raw, encoding, largest(SPANS))


def _rewrite_head(scope: Scope, call: Call) -> None:
    """Let anything inside see what was judged, and nothing else."""
    # The call's namespace is the only one that anything inside will see.
    _set_header(scope, _WORKSPACE, call.namespace)
    for name in ("x-mlflow-experiment-id", "x-mlflow-run-id"):
        if name in call.headers:
            _set_header(scope, name.encode(), call.headers[name])
    if "content-encoding" not in call.headers:
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"content-encoding"]
    scope["query_string"] = call.query_string
    if scope["path"] != call.path:
        scope["path"] = call.path
        scope["raw_path"] = quote(call.path).encode()


def _again(body: bytes, receive: Receive) -> Receive:
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


async def _fail(scope: Scope, send: Send, exc: Refused | MlflowException | SQLAlchemyError) -> None:
    gone = exc if isinstance(exc, Refused) else without_database(exc)
    if isinstance(gone, NoDatabase):
        # Ours, the operator above all, know a service that is away by 503, and ask it less.
        ours = scope["path"].startswith(f"{TRACKING_API}/")
        await _refuse(send, gone if ours else _not_begun(gone))
    elif gone is not None:
        await _refuse(send, gone)
    elif isinstance(exc, MlflowException):
        await _answer(send, exc.get_http_status_code(), json.loads(exc.serialize_as_json()))
    else:
        raise exc


def _not_begun(gone: NoDatabase) -> Busy:
    """Say that nothing was done yet, so that clients repeat writes too."""
    return Busy(str(gone), int(gone.headers["Retry-After"]))


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
