"""Keeps the cache of one resource as the cluster is: lists it, and watches from there.

    list ─▶ watch ─▶ ended: watch on from the last version ─▶ too old, or broken: list again

For children, of which there are most events: each costs a tenth of what kopf takes for one. A
list also tells what is gone, which no watch that had to start anew does.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from trainyard_operator.engine import objects
from trainyard_operator.engine.cache import version_of
from trainyard_operator.engine.errors import OperatorError
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object

_KINDS = {plural: kind for kind, plural in objects.PLURALS.items()}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_SECONDS = (240, 480)
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who takes in what is seen: shell.Shell."""

    def seen(self, resource: str, seen: Object, *, deleted: bool = False) -> None: ...

    def gone(self, resource: str, namespace: str, name: str, uid: str) -> None:
        """Take in that an object is there no more."""

    def known(self, resource: str, namespace: str) -> Mapping[tuple[str, str], tuple[str, int]]:
        """Return UID and version of what is held, by namespace and name."""


class Informer:
    """One resource, in one namespace or in all of them.

    Args:
        jitter: Returns a number in [0, 1).
    """

    def __init__(
        self,
        kube: Kube,
        sink: Sink,
        resource: str,
        namespace: str = "",
        *,
        selector: str = "",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._kube = kube
        self._sink = sink
        self._resource = resource
        self._namespace = namespace
        self._api_version, self._kind = _KINDS[resource]
        self._params = {"labelSelector": selector} if selector else {}
        self._jitter = jitter
        self._version = 0

    async def load(self) -> None:
        """List once: take in what is there, and drop what is there no more.

        Raises:
            OperatorError: The API server does not answer.
        """
        gone = dict(self._sink.known(self._resource, self._namespace))
        version = 0
        async for page in self._kube.pages(
            self._api_version, self._kind, self._namespace, **self._params
        ):
            version = page.version
            for each in page.items:
                meta = each["metadata"]
                gone.pop((meta.get("namespace", ""), meta["name"]), None)
                self._sink.seen(self._resource, each)
            await asyncio.sleep(0)
        for (namespace, name), (uid, held) in gone.items():
            if held <= version:  # else it was made after the list
                self._sink.gone(self._resource, namespace, name, uid)
        self._version = version

    async def follow(self) -> None:
        """Watch for ever, from the last list on."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version:
                    await self.load()
                await self._watch()
                pause = _FIRST_PAUSE
            except OperatorError as exc:
                _log.warning("watching %s: %s", self._resource, exc.message)
                await asyncio.sleep(pause * (1 + self._jitter()))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _watch(self) -> None:
        low, high = _SECONDS
        seconds = str(int(low + (high - low) * self._jitter()))
        async for events in self._kube.watch(
            self._api_version,
            self._kind,
            self._namespace,
            since=self._version,
            timeoutSeconds=seconds,
            **self._params,
        ):
            for event in events:
                if event["type"] == "ERROR":
                    # Most often 410: our version is too old.
                    _log.info("watching %s: %s", self._resource, event["object"].get("message"))
                    self._version = 0
                    return
                self._take(event["type"], event["object"])

    def _take(self, kind: str, seen: Object) -> None:
        self._version = max(self._version, version_of(seen))
        if kind != "BOOKMARK":
            self._sink.seen(self._resource, seen, deleted=kind == "DELETED")
