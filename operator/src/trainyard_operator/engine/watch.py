"""What kopf does for us: log in, list, watch, reconnect. The only module but __main__ with kopf.

Only our own resources but Runs: Runs and children, of which there are most events, have informers.
One event handler per resource feeds the Shell; kopf stores nothing on any object (no
finalizer, no annotation), because there is nothing to remember: see decision 0001.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import kopf

from trainyard_operator.engine import objects
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.kube import PAGE
from trainyard_operator.engine.shell import Shell
from trainyard_operator.settings import Settings

_log = logging.getLogger(__name__)
_GROUPS = {resource: kind[0] for kind, resource in objects.PLURALS.items()}


class NoDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing and copies nothing: there are no change handlers to tell."""

    def build(self, **_: Any) -> Any:
        """Return an empty essence."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Remembers nothing: handlers cannot fail half-way."""

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Purge nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any) -> Any:
        """Return the essence, uncopied."""
        return essence


def registry(
    shell: Shell, access: Access, *, on_cleanup: Callable[[], Awaitable[None]]
) -> kopf.OperatorRegistry:
    """Return kopf's handlers: log-in, one event handler per watched resource, clean-up."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=access.server, aiohttp_session=session(access))

    @kopf.on.cleanup(registry=handlers)
    async def cleanup(**_: Any) -> None:
        await on_cleanup()

    for resource in objects.WATCHED_BY_KOPF:
        group, _, version = _GROUPS[resource].rpartition("/")
        kopf.on.event(group, version, resource, registry=handlers, id=resource)(
            _feeder(shell, resource)
        )
    return handlers


def session(access: Access) -> aiohttp.ClientSession:
    """Open a session without a limit: kopf has a stream per resource and namespace."""
    connector = aiohttp.TCPConnector(limit=0, ssl=access.ssl_context or True)
    return aiohttp.ClientSession(connector=connector, headers=access.headers(), trust_env=False)


def _feeder(shell: Shell, resource: str) -> Callable[..., Awaitable[None]]:
    async def feed(event: Any, **_: Any) -> None:
        shell.seen(resource, dict(event["object"]), deleted=event["type"] == "DELETED")

    return feed


def configuration(settings: Settings) -> kopf.OperatorSettings:
    """Return kopf's settings for an operator that only watches."""
    kept = kopf.OperatorSettings()
    kept.persistence.diffbase_storage = NoDiffBase()
    kept.persistence.progress_storage = NoProgress()
    kept.posting.enabled = False
    kept.peering.standalone = True
    kept.scanning.disabled = True
    kept.watching.server_timeout = 300
    kept.watching.client_timeout = 310
    kept.watching.connect_timeout = 10
    kept.watching.inactivity_timeout = 70
    kept.watching.reconnect_backoff = 1
    kept.watching.chunk_size = PAGE
    kept.networking.request_timeout = 30
    kept.networking.connect_timeout = 5
    kept.queueing.worker_limit = None
    # Per object, and each takes tens of kilobytes while it lasts.
    kept.queueing.idle_timeout = 0.05
    kept.queueing.exit_timeout = 1
    kept.execution.max_workers = 2
    kept.process.ultimate_exiting_timeout = 60
    watched = ", ".join(objects.WATCHED_BY_KOPF)
    _log.debug("kopf watches %s", watched, extra={"all": not settings.watch_namespaces})
    return kept


async def watch(
    shell: Shell,
    access: Access,
    settings: Settings,
    *,
    stop: asyncio.Event,
    on_cleanup: Callable[[], Awaitable[None]],
) -> None:
    """Watch until told to stop, or until a watch dies for good."""
    await kopf.operator(
        registry=registry(shell, access, on_cleanup=on_cleanup),
        settings=configuration(settings),
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        stop_flag=stop,
    )
