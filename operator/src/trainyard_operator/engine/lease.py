"""Leader election by a coordination.k8s.io Lease: of two replicas, one reconciles.

Clocks are compared with nobody: a lease counts as abandoned once it has not changed for its
duration by our own monotonic clock. A leader that could not renew for RENEW_WITHIN stops at
once, which is before another may take over.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from trainyard_operator.engine.errors import Conflict, LeaseLost, OperatorError
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref

DURATION = 15.0
RENEW_WITHIN = 10.0
EVERY = 2.0

_log = logging.getLogger(__name__)


class Lease:
    """One replica's view of the Lease.

    Args:
        monotonic, now: Clocks.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._ref = Ref("coordination.k8s.io/v1", "Lease", namespace, name)
        self._identity = identity
        self._monotonic = monotonic
        self._now = now
        self._seen: tuple[str, float] = ("", 0.0)
        self._held: Object = {}

    async def acquire(self) -> None:
        """Wait until this replica leads."""
        led = await self.try_acquire()
        while not led:
            await asyncio.sleep(EVERY)
            led = await self.try_acquire()

    async def try_acquire(self) -> bool:
        """Take the lease if it is free, abandoned or ours; tell whether we have it."""
        try:
            found = await self._kube.read(self._ref)
            if found is None:
                self._held = await self._kube.post(self._described({}, transitions=0))
                return True
            if not self._is_free(found):
                return False
            spec = found.get("spec") or {}
            ours = spec.get("holderIdentity") == self._identity
            transitions = int(spec.get("leaseTransitions") or 0) + (0 if ours else 1)
            self._held = await self._kube.replace(self._described(found, transitions=transitions))
            return True
        except Conflict:
            return False
        except OperatorError as exc:
            _log.warning("the lease cannot be taken: %s", exc.message)
            return False

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLost: It could not be renewed in time, or another has it.
        """
        renewed = self._monotonic()
        while True:
            await asyncio.sleep(EVERY)
            try:
                held = self._described(self._held, transitions=None)
                self._held = await self._kube.replace(held)
                renewed = self._monotonic()
            except Conflict as exc:
                # A write of ours whose answer was lost also conflicts: look before giving up.
                await self._still_ours(exc)
            except OperatorError as exc:
                if self._monotonic() - renewed > RENEW_WITHIN:
                    raise LeaseLost("LeaseLost", f"not renewed: {exc.message}") from exc

    async def release(self) -> None:
        """Let another replica lead at once."""
        try:
            freed = self._described(self._held, transitions=None)
            freed["spec"]["holderIdentity"] = ""
            await self._kube.replace(freed)
        except OperatorError as exc:
            _log.info("the lease was not released: %s", exc.message)

    async def _still_ours(self, exc: Conflict) -> None:
        found = await self._kube.read(self._ref)
        if not found or found["spec"].get("holderIdentity") != self._identity:
            raise LeaseLost("LeaseLost", "another replica holds the lease") from exc
        self._held = found

    def _is_free(self, found: Object) -> bool:
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = found["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._monotonic())
        abandoned = self._monotonic() - self._seen[1] > DURATION
        return not holder or holder == self._identity or abandoned

    def _described(self, found: Object, *, transitions: int | None) -> Object:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before: dict[str, Any] = found.get("spec") or {}
        ours = before.get("holderIdentity") == self._identity
        count = before.get("leaseTransitions", 0) if transitions is None else transitions
        return {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": found.get("metadata")
            or {"name": self._ref.name, "namespace": self._ref.namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION),
                "acquireTime": before.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": count,
            },
        }
