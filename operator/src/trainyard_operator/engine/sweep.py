"""What no single resource's reconciliation sees: things left behind. The leader's, now and then.

kopf does not report what was deleted while a watch had to start anew. So names and versions of
our own resources are listed: what is gone is dropped, what is newer than what is held is read.
(Children are an informer's, whose lists tell both.) What else is to be swept, whoever starts it
says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from trainyard_operator.engine import objects
from trainyard_operator.engine.cache import version_of
from trainyard_operator.engine.errors import OperatorError
from trainyard_operator.engine.kube import METADATA_LIST, Kube, Page
from trainyard_operator.engine.plan import Ref
from trainyard_operator.engine.shell import Shell

EVERY = timedelta(minutes=5)
_KINDS = {plural: kind for kind, plural in objects.PLURALS.items()}
_log = logging.getLogger(__name__)


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
    """Compare what is held of our own resources with the cluster."""
    for resource in objects.OWN_RESOURCES:
        for namespace in tuple(namespaces) or ("",):
            await _compare(shell, kube, resource, namespace)


async def _compare(shell: Shell, kube: Kube, resource: str, namespace: str) -> None:
    api_version, kind = _KINDS[resource]
    gone = dict(shell.known(resource, namespace))
    version = 0
    async for page in kube.pages(api_version, kind, namespace, accept=METADATA_LIST):
        version = page.version
        for where, name, listed in _listed(page):
            _, held = gone.pop((where, name), ("", -1))
            if listed > held:
                missed = await kube.read(Ref(api_version, kind, where, name))
                if missed is not None:
                    shell.seen(resource, missed)
    for (where, name), (uid, held) in gone.items():
        if held <= version:  # else it was made after the list
            shell.gone(resource, where, name, uid)


def _listed(page: Page) -> Iterable[tuple[str, str, int]]:
    for each in page.items:
        yield each["metadata"]["namespace"], each["metadata"]["name"], version_of(each)
