"""The door of the service: ASGI middleware in front of every route, ours and MLflow's.

Reads the token (wire.py), asks the gate (gate.py), reads the body (reading.py, bodies.py) and
writes the request anew where a rule changed it. What is refused looks like MLflow's errors
(refusals.py).
"""

from asyncio import CancelledError
from dataclasses import dataclass, field, replace

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from trainyard_api.contract import TRACKING_API

from trainyard_tracking.auth.bodies import for_inside, has_body, is_streamed, read_into
from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.caller import CALLER, SHOWN
from trainyard_tracking.auth.gate import Gate
from trainyard_tracking.auth.lane_choice import first_lane, lane_of
from trainyard_tracking.auth.limits import check_query
from trainyard_tracking.auth.narrowing import NARROWED, Family
from trainyard_tracking.auth.reading import SHARE, Budget, Share, largest, read
from trainyard_tracking.auth.refusals import answer, fail, no_route, refuse
from trainyard_tracking.auth.rules import Access, Match
from trainyard_tracking.auth.wire import (
    again,
    call_of,
    headers_of,
    rewrite_head,
    set_header,
    token_in,
    workspace_in,
)
from trainyard_tracking.deadlines import LIMIT, Limit, is_read
from trainyard_tracking.errors import Refused, Unavailable
from trainyard_tracking.identity import Identity, Person, RunIdentity
from trainyard_tracking.lanes import Lanes, in_lane, own, put
from trainyard_tracking.rows import Room

ROUTE_KEY = "trainyard.route"
"""Where the template of the route is left in the ASGI scope, for the metrics."""

_OPERATORS = 10
"""So many times longer may take what the operator asks: it records what there is no second of."""


@dataclass(slots=True)
class Door:
    """ASGI application that lets requests through to `inside`."""

    inside: ASGIApp
    gate: Gate
    lanes: Lanes
    query_seconds: float = 30.0
    """What a query of a request may take."""
    budget: Budget = field(default_factory=Budget)
    room: Room = field(default_factory=Room)

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
            await refuse(send, Unavailable("The service restarts: send it again"))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.budget.request() as share, self.room.request(share):
            try:
                reply, onward = await self._admit(scope, receive, share)
            except (Refused, MlflowException, SQLAlchemyError) as exc:
                await fail(scope, send, exc)
                return
            if reply is not None:
                await answer(send, 200, reply.content)
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
        headers = headers_of(scope)
        match, call, who = await self._enter(scope, headers, match)
        share.owners = _owners(call, who)
        own(scope, share.owners)
        scope[SHARE] = share
        if is_streamed(match):
            reply = await in_lane(scope, self.gate.decide, match, call, who)
            rewrite_head(scope, call)
            return reply, receive
        if has_body(match, call, who):
            stated = headers.get(b"content-length", b"0").decode("latin-1")
            call.raw = await read(receive, stated, largest(match.template), share)
        reply, body = await in_lane(scope, self._decide, match, call, who)
        if call.narrowed and isinstance(who, RunIdentity):
            NARROWED.set(Family(who.run_id, who.namespace))
        rewrite_head(scope, call)
        set_header(scope, b"content-length", str(len(body)))
        return reply, again(body, receive)

    async def _enter(
        self, scope: Scope, headers: dict[bytes, bytes], match: Match | None
    ) -> tuple[Match, Call, Identity]:
        """Find out who asks and whether they may at all, before anything of a body is taken."""
        token = token_in(headers)
        is_operator = self.gate.is_known_operator(token)
        first = first_lane(self.lanes, match, token, is_operator=is_operator)

        def work() -> tuple[Match, Call, Identity]:
            who = self.gate.identify(token)
            if match is None:
                raise no_route(scope)
            call = call_of(scope, headers, match, who)
            self.gate.permit(match, call, who)
            return match, call, who

        LIMIT.set(Limit(self.query_seconds))
        found = await first.run(work)
        # By now its right is asked, where the route is the operator's.
        is_operator = is_operator or self.gate.is_known_operator(token)
        if is_operator:
            LIMIT.set(Limit(self.query_seconds * _OPERATORS))
        put(scope, lane_of(self.lanes, found[0], token, is_operator=is_operator))
        CALLER.set(found[2])
        # The next request of a connection may begin in the context of the one before it.
        NARROWED.set(None)
        is_ui = scope["path"].startswith("/ajax-api/")
        SHOWN.set(workspace_in(headers) if is_ui else None)
        return found

    def _decide(self, match: Match, call: Call, who: Identity) -> tuple[Reply | None, bytes]:
        """Decide about a call whose body is at hand; give the body that MLflow is to see."""
        check_query(call)
        sent = read_into(call, match, who)
        reply = self.gate.decide(match, call, who)
        return reply, for_inside(call, sent, who)


def _owners(call: Call, who: Identity) -> tuple[str, ...]:
    """Give those whose share of the budget the body counts against.

    People name a namespace, and were asked for their rights in it only where the route wants some;
    so it counts against them as well.
    """
    if not isinstance(who, Person):
        return (f"namespace {who.namespace}",)
    named = (f"namespace {call.namespace}",) if call.is_in_namespace else ()
    return tuple(dict.fromkeys((who.owner, *named)))


def _can_ask_less(scope: Scope) -> bool:
    """Tell whether a question is one of MLflow's: ours are of one run, which can't be narrowed."""
    path = scope["path"]
    return not path.startswith(f"{TRACKING_API}/") and is_read(scope["method"], path)
