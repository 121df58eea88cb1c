"""Keeps the cache of one resource as the cluster is: lists it, and watches from there.

    list ─▶ watch ─▶ ended, no answer: watch on from the last version ─▶ refused: list again

For Runs and children, of which there are most events: each costs a tenth of what kopf takes for
one. Of the resources that kopf watches it only follows what is deleted, by metadata: kopf never
tells what was deleted while it had to start anew, and a child of what is gone would be made again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from trainyard_operator.engine import objects
from trainyard_operator.engine.cache import Name, name_of, version_of
from trainyard_operator.engine.errors import Expired, OperatorError, Retry, Unavailable, told
from trainyard_operator.engine.kube import METADATA, METADATA_LIST, Kube
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shapes import reader_of
from trainyard_operator.engine.transport import JSON

_KINDS = {plural: kind for kind, plural in objects.PLURALS.items()}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_SECONDS = (240, 480)
# A watch that ended sooner, and told nothing, is a server that is in no state to watch.
_SHORT = 5.0
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who takes in what is seen: shell.Shell."""

    def seen(self, resource: str, seen: Object, *, deleted: bool = False) -> None: ...

    def gone(self, resource: str, name: Name, uid: str, version: int) -> None:
        """Take in that an object was gone by a version."""

    def known(self, resource: str, namespace: str) -> Mapping[Name, tuple[str, int]]:
        """Return UID and version of what is held."""


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
        self._read = reader_of(resource)
        self._params = {"labelSelector": selector} if selector else {}
        self._jitter = jitter
        self._version = 0

    async def load(self, *, only_deletions: bool = False) -> None:
        """List once: take in what is there, and drop what is there no more.

        Raises:
            OperatorError: The API server does not answer.
        """
        gone = dict(self._sink.known(self._resource, self._namespace))
        accept = METADATA_LIST if only_deletions else JSON
        version = 0
        async for page in self._kube.pages(
            self._api_version, self._kind, self._namespace, accept=accept, **self._params
        ):
            version = page.version
            for each in page.items:
                name, uid = name_of(each), each["metadata"]["uid"]
                if name in gone and gone[name][0] == uid:
                    del gone[name]
                if not only_deletions:
                    self._sink.seen(self._resource, each)
                    await asyncio.sleep(0)
        for name, (uid, _) in gone.items():
            self._sink.gone(self._resource, name, uid, version)  # unless it was made after the list
        self._version = version

    async def load_surely(self) -> None:
        """List once, however often it takes: a server that has just started answers 429."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self.load()
                return
            except Retry as exc:
                _log.warning("listing %s: %s", self._resource, exc.message)
                after = exc.after.total_seconds() if exc.after else pause
                await asyncio.sleep(after * (1 + self._jitter()))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def follow(self, *, only_deletions: bool = False) -> None:
        """Watch for ever, from the last list on."""
        pause = _FIRST_PAUSE
        while True:
            began, version = float("inf"), self._version
            try:
                if not version:
                    await self.load(only_deletions=only_deletions)
                began = time.monotonic()  # however long the list took: it is no watch that works
                await self._watch(only_deletions=only_deletions)
            except (OperatorError, LookupError, TypeError, ValueError) as exc:  # a proxy's nonsense
                _log.warning("watching %s: %s", self._resource, told(exc))
                if isinstance(exc, Expired) or not isinstance(exc, Unavailable):
                    self._version = 0  # to ask for the same again would be answered the same
            if self._version > version > 0 or time.monotonic() - began > _SHORT:
                pause = _FIRST_PAUSE  # it works, however it ended
                continue
            await asyncio.sleep(pause * (1 + self._jitter()))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _watch(self, *, only_deletions: bool) -> None:
        low, high = _SECONDS
        seconds = str(int(low + (high - low) * self._jitter()))
        async for events in self._kube.watch(
            self._api_version,
            self._kind,
            self._namespace,
            since=self._version,
            read=self._read,
            accept=METADATA if only_deletions else JSON,
            timeoutSeconds=seconds,
            **self._params,
        ):
            for event in events:
                if event["type"] == "ERROR":
                    # Most often 410: our version is too old.
                    _log.info("watching %s: %s", self._resource, event["object"].get("message"))
                    self._version = 0
                    return
                self._take(event["type"], event["object"], only_deletions=only_deletions)

    def _take(self, kind: str, seen: Object, *, only_deletions: bool) -> None:
        version = version_of(seen)
        self._version = max(self._version, version)
        if only_deletions and kind == "DELETED":
            self._sink.gone(self._resource, name_of(seen), seen["metadata"]["uid"], version)
        elif kind != "BOOKMARK" and not only_deletions:
            self._sink.seen(self._resource, seen, deleted=kind == "DELETED")
