"""Leader election by a coordination.k8s.io Lease: of two replicas, one reconciles.

Clocks are compared with nobody: a lease counts as abandoned once it has not changed for its
duration by our own monotonic clock, which goes on while the machine is suspended. A leader that
could not renew for RENEW_WITHIN stops at once, which is before another may take over. Time counts
from before a renewal was sent, and `time_to_write` bounds every write: a process that was paused
wakes up without its lease.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from trainyard_operator.engine.errors import (
    Conflict,
    LeaseLost,
    NotFound,
    OperatorError,
    Unavailable,
    told,
)
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref

DURATION = 15.0
RENEW_WITHIN = 10.0
WRITE_WITHIN = 13.0
EVERY = 2.0
# Of several tries before RENEW_WITHIN, one that hangs must not be all.
TRY = 3.0
# Kept even when time is up: a lease that nobody took meanwhile is still ours.
_LAST_TRY = 1.0
_QUIET = 30.0

_log = logging.getLogger(__name__)


def uptime() -> float:
    """Return seconds that no clock sets back, those of a suspended machine included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """One replica's view of the Lease.

    Args:
        monotonic, now: Clocks.
        notes: Returns annotations for who reads the Lease, written with each renewal; those
            without a value are taken off.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        monotonic: Callable[[], float] = uptime,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        notes: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._kube = kube
        self._ref = Ref("coordination.k8s.io/v1", "Lease", namespace, name)
        self._identity = identity
        self._monotonic = monotonic
        self._now = now
        self._notes = notes
        self._seen: tuple[str, float] = ("", 0.0)
        self._held: Object = {}
        self._renewed = -float("inf")
        self._tried = self._monotonic()

    def time_to_write(self) -> float:
        """Return the seconds in which writes are still a leader's; none if it is not positive."""
        return self._renewed + WRITE_WITHIN - self._monotonic()

    def is_kept(self) -> bool:
        """Tell whether it was renewed in time."""
        return self._time_to_renew() > 0

    def is_tried(self) -> bool:
        """Tell whether a standby keeps trying to take it."""
        return self._monotonic() - self._tried < _QUIET

    async def acquire(self) -> None:
        """Wait until this replica leads."""
        led = await self.try_acquire()
        while not led:
            await asyncio.sleep(EVERY)
            led = await self.try_acquire()

    async def try_acquire(self) -> bool:
        """Take the lease if it is free, abandoned or ours; tell whether we have it."""
        self._tried = began = self._monotonic()
        try:
            async with asyncio.timeout(TRY):
                led = await self._take()
        except Conflict:
            return False
        except (OperatorError, TimeoutError, OSError) as exc:
            _log.warning("the lease cannot be taken: %s", told(exc))
            return False
        if led:
            self._renewed = began
        return led

    async def _take(self) -> bool:
        found = await self._kube.read(self._ref)
        if found is None:
            if self._is_held_yet():
                return False
            await self._make()
            return True
        if not self._is_free(found):
            return False
        spec = found.get("spec") or {}
        ours = spec.get("holderIdentity") == self._identity
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if ours else 1)
        await self._replace(found, transitions=transitions)
        return True

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLost: It could not be renewed in time, or another has it.
        """
        while True:
            await asyncio.sleep(EVERY)
            began = self._monotonic()
            try:
                async with asyncio.timeout(min(TRY, max(self._time_to_renew(), _LAST_TRY))):
                    await self._renew()
                self._renewed = began
            except LeaseLost:
                raise
            except Exception as exc:  # whatever it is, the lease was not renewed
                if not self.is_kept():
                    raise LeaseLost("LeaseLost", f"not renewed: {told(exc)}") from exc
                _log.info("the lease was not renewed, trying again: %s", told(exc))

    async def release(self) -> None:
        """Let another replica lead at once; this one writes no more."""
        self._renewed = -float("inf")
        try:
            async with asyncio.timeout(TRY):
                await self._free()
        except (OperatorError, TimeoutError, OSError) as exc:
            _log.info("the lease was not released: %s", told(exc))

    async def _free(self) -> None:
        try:
            await self._kube.replace(self._freed())
        except Conflict as exc:
            # A renewal that was cut short may have arrived.
            await self._look(exc)
            await self._kube.replace(self._freed())

    def _freed(self) -> Object:
        freed = self._described(self._held, transitions=None)
        freed["spec"]["holderIdentity"] = ""
        return freed

    async def _renew(self) -> None:
        try:
            await self._replace(self._held)
        except Conflict as exc:
            # A write of ours whose answer was lost also conflicts: look before giving up, and
            # renew what is there: when it was written is not known.
            await self._look(exc)
            await self._replace(self._held)
        except NotFound:
            # Somebody deleted it: who makes it anew leads, and that is whoever leads.
            await self._make()

    async def _make(self) -> None:
        self._held = self._checked(await self._kube.post(self._described({}, transitions=0)))

    async def _replace(self, found: Object, *, transitions: int | None = None) -> None:
        wanted = self._described(found, transitions=transitions)
        self._held = self._checked(await self._kube.replace(wanted))

    def _checked(self, answer: Object) -> Object:
        """Return the lease that a write was answered with.

        Raises:
            Unavailable: It is none of ours: a proxy's words, after which nothing is renewed.
        """
        if not self._is_ours(answer):
            said = "a write of the lease was answered with something else"
            raise Unavailable("APIServerUnavailable", said)
        return answer

    def _is_ours(self, found: Object) -> bool:
        return bool((found.get("spec") or {}).get("holderIdentity") == self._identity)

    async def _look(self, exc: Conflict) -> None:
        found = await self._kube.read(self._ref)
        if not found or not self._is_ours(found):
            raise LeaseLost("LeaseLost", "another replica holds the lease") from exc
        self._held = found

    def _time_to_renew(self) -> float:
        return self._renewed + RENEW_WITHIN - self._monotonic()

    def _is_free(self, found: Object) -> bool:
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = found["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._monotonic())
        if not holder or holder == self._identity:
            self._seen = ("", 0.0)
            return True
        return not self._is_held_yet()

    def _is_held_yet(self) -> bool:
        """Tell whether another may still go by what we saw last; also if that is deleted."""
        version, since = self._seen
        return bool(version) and self._monotonic() - since <= DURATION

    def _described(self, found: Object, *, transitions: int | None) -> Object:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before: dict[str, Any] = found.get("spec") or {}
        ours = before.get("holderIdentity") == self._identity
        count = before.get("leaseTransitions", 0) if transitions is None else transitions
        return {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": self._metadata(found),
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION),
                "acquireTime": before.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": count,
            },
        }

    def _metadata(self, found: Object) -> Object:
        there = found.get("metadata") or {
            "name": self._ref.name,
            "namespace": self._ref.namespace,
        }
        noted = {**(there.get("annotations") or {}), **self._notes()}
        return {**there, "annotations": {key: value for key, value in noted.items() if value}}
