"""What no single resource's reconciliation sees: things left behind. The leader's, now and then.

All is listed: what a watch failed to tell is taken in, and a cached object that is gone from the
cluster is dropped (a watch that had to start anew does not report what was deleted meanwhile).
What else is to be swept, whoever starts it says.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta

from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import OperatorError
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.shell import BATCH, WATCHED, Shell

EVERY = timedelta(minutes=5)
_KINDS = {plural: kind for kind, plural in objects.PLURALS.items()}
_log = logging.getLogger(__name__)


async def load(shell: Shell, kube: Kube, namespaces: Iterable[str]) -> None:
    """Fill the caches, before anybody decides anything by them."""
    for resource in WATCHED:
        listed = 0
        async for each in _listed(kube, resource, namespaces):
            shell.world.cache.remember(resource, each)
            listed += 1
            if listed % BATCH == 0:
                await asyncio.sleep(0)


async def sweep_for_ever(
    shell: Shell,
    kube: Kube,
    namespaces: Iterable[str],
    *,
    more: Callable[[], Awaitable[None]],
) -> None:
    """Sweep at the start and then every few minutes.

    Args:
        more: What else to sweep each time.
    """
    watched = tuple(namespaces)
    while True:
        try:
            await resync(shell, kube, watched)
            await more()
        except OperatorError as exc:
            _log.info("sweep put off: %s", exc.message)
        await asyncio.sleep(EVERY.total_seconds())


async def resync(shell: Shell, kube: Kube, namespaces: Iterable[str]) -> None:
    """Compare the caches with the cluster: take in what is newer, drop what is there no more."""
    for resource in WATCHED:
        known = {each["metadata"]["uid"]: each for each in shell.world.cache.all(resource)}
        async for each in _listed(kube, resource, namespaces):
            known.pop(each["metadata"]["uid"], None)
            shell.seen(resource, each)
        for gone in known.values():
            # One made since the list was read is not gone: ask for it by name.
            if not await _is_there(kube, resource, gone):
                shell.seen(resource, gone, deleted=True)


async def _is_there(kube: Kube, resource: str, gone: Object) -> bool:
    api_version, kind = _KINDS[resource]
    meta = gone["metadata"]
    found = await kube.read(Ref(api_version, kind, meta["namespace"], meta["name"]))
    return found is not None and found["metadata"]["uid"] == meta["uid"]


async def _listed(kube: Kube, resource: str, namespaces: Iterable[str]) -> AsyncIterator[Object]:
    api_version, kind = _KINDS[resource]
    owned = {} if resource in objects.OWN_RESOURCES else {"labelSelector": objects.SELECTOR}
    for namespace in tuple(namespaces) or ("",):
        async for each in kube.list(api_version, kind, namespace, **owned):
            yield each
