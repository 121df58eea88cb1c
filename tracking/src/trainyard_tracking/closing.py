"""How connections by TLS end when the service does: at once, where nothing is under way."""

from trainyard_tracking.heads import BoundedProtocol


class Closing(BoundedProtocol):
    """A connection that does not wait for its client's farewell.

    TLS says good-bye in both directions, and a client with an idle connection reads nothing until
    it asks again: a restart would wait for each, as long as it waits for requests under way.
    """

    def shutdown(self) -> None:
        """End it, or let its request be the last."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            super().shutdown()
