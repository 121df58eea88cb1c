"""Connections by purpose: what is slow or endless never takes the place of what must be quick.

The lease has connections of its own, so that a leader renews whatever else goes on. Log streams
and watches stay open for hours and are bounded by whoever opens them, never by a pool: whoever
waits in a pool cannot tell why. Proxies of the environment are never used.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from trainyard_api.authority import trusting

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.exchange import Exchange

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
    streams: aiohttp.ClientSession


@contextlib.asynccontextmanager
async def connect(access: Access, tracking: str, ca: str = "") -> AsyncIterator[Connections]:
    """Open the connections of one process; close them afterwards.

    Args:
        tracking: The tracking service's URL.
        ca: Authorities that its certificate is checked by, as PEM; "" for the machine's own.
    """
    server, context = access.server, access.ssl_context
    exchanges = (
        Exchange(server, context, limit=_LEASE),
        Exchange(server, context, limit=_API),
        Exchange(tracking, trusting(ca) if ca else None, limit=_TRACKING),
    )
    try:
        async with session(context) as streams:
            yield Connections(*exchanges, streams=streams)
    finally:
        for each in exchanges:
            each.close()


def session(
    context: ssl.SSLContext | None, *, headers: dict[str, str] | None = None
) -> aiohttp.ClientSession:
    """Open a session for streams, of connections without a limit."""
    connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
    return aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False)
