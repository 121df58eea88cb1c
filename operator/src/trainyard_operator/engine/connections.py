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

_API = 64


@dataclass(frozen=True, slots=True)
class Connections:
    """One session per purpose.

    Attributes:
        lease: Renewing the lease.
        api: Reads and writes of the API server.
        streams: Watches, and log streams of pods: one per informer and per follower.
        tracking: The tracking service; TrackingClient bounds its own calls.
    """

    lease: aiohttp.ClientSession
    api: aiohttp.ClientSession
    streams: aiohttp.ClientSession
    tracking: aiohttp.ClientSession


@contextlib.asynccontextmanager
async def connect(context: ssl.SSLContext | None) -> AsyncIterator[Connections]:
    """Open the sessions of one process; close them afterwards."""
    async with (
        session(context, limit=2) as lease,
        session(context, limit=_API) as api,
        session(context) as streams,
        session(None) as tracking,
    ):
        yield Connections(lease=lease, api=api, streams=streams, tracking=tracking)


def session(
    context: ssl.SSLContext | None,
    *,
    limit: int = 0,
    headers: dict[str, str] | None = None,
) -> aiohttp.ClientSession:
    """Open a session of *limit* connections; 0 is no limit."""
    connector = aiohttp.TCPConnector(limit=limit, ssl=context or True)
    return aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False)
