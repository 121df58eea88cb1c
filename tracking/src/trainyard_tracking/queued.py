"""Lets requests to MLflow's Flask app in by turns: it would take a thread for each at once."""

from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainyard_tracking.deadlines import is_read
from trainyard_tracking.lanes import Lanes


@dataclass(slots=True)
class Queued:
    """ASGI application that gives a request to `inside` once there is a place for it.

    It is taken when the body has arrived and free again when the answer begins, so that a client
    that is slow holds none.
    """

    inside: ASGIApp
    lanes: Lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return
        reads = is_read(scope["method"], scope["path"])
        lane = self.lanes.reads if reads else self.lanes.writes
        body = deque([await receive()])
        while body[-1].get("more_body", False):
            body.append(await receive())
        async with AsyncExitStack() as place:
            await place.enter_async_context(lane.place())

            async def again() -> Message:
                return body.popleft() if body else await receive()

            async def freeing(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await place.aclose()
                await send(message)

            await self.inside(scope, again, freeing)
