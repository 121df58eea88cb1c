"""Kubernetes Events (events.k8s.io/v1), told in the background and aggregated.

An Event's name is made of what it says about whom, so that the same thing told again, even by
another replica or after a restart, adds to its series instead of making another. Telling never
fails a reconciliation: an Event that cannot be written is logged and let go.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard_operator.engine.errors import Conflict, NotFound, OperatorError
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Event, Object, Ref

CONTROLLER = "trainyard.dev/operator"
SERIES_EVERY = timedelta(minutes=1)

_REMEMBERED = 4096
_PENDING = 1000
_NOTE_BYTES = 1024
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Told:
    count: int
    written: datetime


class Recorder:
    """Tells Events; `run` does the writing."""

    def __init__(self, kube: Kube, *, identity: str) -> None:
        self._kube = kube
        self._identity = identity
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._pending: asyncio.Queue[tuple[Object, int]] = asyncio.Queue(_PENDING)

    def tell(self, about: Object, event: Event, *, now: datetime) -> None:
        """Have an Event written soon; one told before joins its series, once a minute at most."""
        body = event_object(about, event, now=now, identity=self._identity)
        name = body["metadata"]["name"]
        told = self._told.setdefault(name, _Told(0, datetime.min.replace(tzinfo=UTC)))
        told.count += 1
        self._told.move_to_end(name)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        if now - told.written < SERIES_EVERY:
            return
        try:
            self._pending.put_nowait((body, told.count))
            told.written = now
        except asyncio.QueueFull:
            _log.warning("an Event was dropped: too many wait", extra={"reason": event.reason})

    async def run(self) -> None:
        """Write what was told, for ever."""
        while True:
            body, count = await self._pending.get()
            try:
                await self._write(body, count)
            except OperatorError as exc:
                # Of a namespace that is being deleted nobody reads it.
                is_going = exc.reason == "NamespaceTerminating"
                level = logging.DEBUG if is_going else logging.WARNING
                _log.log(level, "an Event was not written: %s", exc.message)
            finally:
                self._pending.task_done()

    async def flush(self, *, patience: float) -> None:
        """Wait until `run` has written what was told."""
        try:
            async with asyncio.timeout(patience):
                await self._pending.join()
        except TimeoutError:
            left = self._pending.qsize()
            _log.warning("%d Events were not written before the end", left)

    async def _write(self, body: Object, count: int) -> None:
        if count > 1:
            # The API server keeps an Event for an hour, and the first may never have got there.
            with suppress(NotFound):
                return await self._join(body, count)
        try:
            await self._kube.post(body)
        except Conflict:
            await self._join(body, max(count, 2))

    async def _join(self, body: Object, count: int) -> None:
        series = {"count": count, "lastObservedTime": body["eventTime"]}
        await self._kube.patch(Ref.of(body), {"series": series})


def event_object(about: Object, event: Event, *, now: datetime, identity: str) -> Object:
    """Return the Event as the API has it. Pure."""
    meta = about["metadata"]
    said = "\0".join((meta["uid"], event.type, event.reason, event.message))
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    regarding: dict[str, Any] = {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{digest}", "namespace": meta["namespace"]},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": identity[:128],
        "action": "Reconcile",
        "reason": event.reason,
        # The API server counts bytes, not characters, and refuses what is longer.
        "note": event.message.encode()[:_NOTE_BYTES].decode(errors="ignore"),
        "type": event.type,
        "regarding": regarding,
    }
