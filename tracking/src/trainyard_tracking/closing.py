"""How connections by TLS end when the service does: once what was answered has gone out."""

import asyncio
from typing import ClassVar

from trainyard_tracking.heads import BoundedProtocol, Heads

_LOOKED_SECONDS = 0.1


class Closing(BoundedProtocol):
    """A connection that does not wait for its client's farewell.

    TLS says good-bye in both directions, and a client with an idle connection reads nothing until
    it asks again: a restart would wait for each, as long as it waits for requests under way.
    """

    heads: ClassVar[Heads] = Heads(connections=2048)  # one takes up to 400 KiB
    plain: asyncio.Transport
    """What its bytes go out by."""

    _is_last = False

    def shutdown(self) -> None:
        """End it, or let its request be the last."""
        self._is_last = True
        is_idle = self.cycle is None or self.cycle.response_complete
        super().shutdown()
        if is_idle:
            self._end()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_last:
            self._end()

    def _end(self) -> None:
        # An answer is complete when it is handed over: its client may still be reading it.
        if self.transport.get_write_buffer_size() or self.plain.get_write_buffer_size():
            self.loop.call_later(_LOOKED_SECONDS, self._end)
        else:
            self.transport.abort()
