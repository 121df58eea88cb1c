"""Connections by purpose: what is slow or endless never takes the place of what must be quick.

The lease has connections of its own, so that a leader renews whatever else goes on. Log streams
and watches stay open for hours and are bounded by whoever opens them, never by a pool: whoever
waits in a pool cannot tell why. Proxies of the environment are never used.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from trainyard_api.authority import trusting

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.exchange import Exchange, Streams

_LEASE = 2
_API = 64
_TRACKING = 64


@dataclass(frozen=True, slots=True)
class Connections:
    """One set per purpose.

    Attributes:
        lease: Renewing the lease.
        api: Reads and writes of the API server.
        tracking: The tracking service; TrackingClient bounds its own calls.
        streams: Watches, and log streams of pods: one per informer and per follower.
    """

    lease: Exchange
    api: Exchange
    tracking: Exchange
    streams: Streams


@contextlib.asynccontextmanager
async def connect(access: Access, tracking: str, ca: str = "") -> AsyncIterator[Connections]:
    """Open the connections of one process; close them afterwards.

    Args:
        tracking: The tracking service's URL.
        ca: Authorities that its certificate is checked by, as PEM; "" for the machine's own.
    """
    server, context = access.server, access.ssl_context
    opened = Connections(
        lease=Exchange(server, context, limit=_LEASE),
        api=Exchange(server, context, limit=_API),
        tracking=Exchange(tracking, trusting(ca) if ca else None, limit=_TRACKING),
        streams=Streams(server, context),
    )
    try:
        yield opened
    finally:
        for each in (opened.lease, opened.api, opened.tracking, opened.streams):
            each.close()
