"""Connections by TLS until their handshake is over: few, and not for long.

Each takes as much memory as one that is open, nobody knows who it is, and where the event loop does
handshakes by itself neither uvicorn nor our protocol (heads.py) hears of them for a minute.
"""

import asyncio
from typing import Any

from uvicorn.server import ServerState

from trainyard_tracking.certificate import Early, Listening
from trainyard_tracking.closing import Closing
from trainyard_tracking.heads import address_of
from trainyard_tracking.peers import Waiting


class Handshake(asyncio.Protocol):
    """One, counted among uvicorn's connections; what it becomes is a `Closing`."""

    most = 512
    seconds = 10.0

    def __init__(
        self, context: Listening, opening: Waiting, *, server_state: ServerState, **more: Any
    ) -> None:
        self._context, self._opening = context, opening
        self._connections: set[Any] = server_state.connections
        self._next = Closing(server_state=server_state, **more)
        self._early = b""
        self.address = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.address = address_of(transport)
        if self._opening.many >= self.most:
            self._opening.make_room()
        heads = self._next.heads
        if len(self._connections) >= heads.connections and not (
            heads.waiting.make_room() or self._opening.make_room()
        ):
            transport.abort()
            return
        self._connections.add(self)
        self._opening.add(self)
        self._task = asyncio.get_running_loop().create_task(self._open())

    def data_received(self, data: bytes) -> None:
        # Of uvloop: what came before we could begin. Of asyncio: what came with the handshake's
        # end, passed on before we are told of that.
        self._early += data

    def abort(self) -> None:
        """End it at once."""
        self._leave()
        self._transport.abort()

    shutdown = abort
    """uvicorn calls it as the service ends."""

    def _leave(self) -> None:
        self._connections.discard(self)
        self._opening.discard(self)

    async def _open(self) -> None:
        early, self._early = Early(self._early), b""
        self._context.early.append(early)
        try:
            opened = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self.seconds,
            )
        except (OSError, RuntimeError):
            # The event loop has closed it: a probe, a plain request, or it took too long; or its
            # client had before we could begin.
            return
        finally:
            if early in self._context.early:
                self._context.early.remove(early)
            self._leave()
        if opened is None or opened.is_closing():
            return
        self._next.plain = self._transport
        opened.set_protocol(self._next)
        self._next.connection_made(opened)
        if self._early:
            self._next.data_received(self._early)
