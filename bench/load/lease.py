"""The operator's Lease, watched: who leads, and how old renewals get."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from api import Api, Object
from readings import SYSTEM

NAME = "trainyard-operator"
_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"


@dataclass(frozen=True, slots=True)
class Renewal:
    """One write of the Lease: the holder's own time, and when we were told."""

    holder: str
    stamp: float
    seen: float


@dataclass(frozen=True, slots=True)
class HandOver:
    """One replica after another, and the seconds between their renewals."""

    before: str
    after: str
    seconds: float


@dataclass(slots=True)
class Lease:
    """All renewals so far."""

    renewals: list[Renewal] = field(default_factory=list)

    def note(self, found: Object) -> None:
        spec = found.get("spec") or {}
        if spec.get("renewTime"):
            stamp = datetime.fromisoformat(spec["renewTime"]).timestamp()
            self.renewals.append(Renewal(spec.get("holderIdentity") or "", stamp, time.time()))

    def largest_gap(self, start: float, end: float) -> float:
        """Return the longest time without a renewal, of all that touch a window."""
        stamps = [each.stamp for each in self.renewals if each.holder]
        before = max((stamp for stamp in stamps if stamp <= start), default=start)
        within = [stamp for stamp in stamps if start < stamp <= end]
        times = [before, *within, end]
        return max(later - earlier for earlier, later in pairwise(times))

    def hand_overs(self, start: float, end: float) -> list[HandOver]:
        """Return who followed whom in a window, and after how long."""
        held = [each for each in self.renewals if each.holder and each.stamp <= end]
        pairs = pairwise(held)
        return [
            HandOver(old.holder, new.holder, new.stamp - old.stamp)
            for old, new in pairs
            if old.holder != new.holder and new.stamp > start
        ]

    def holder(self) -> str:
        return self.renewals[-1].holder if self.renewals else ""

    def first_after(self, start: float) -> Renewal | None:
        """Return the first renewal after a moment."""
        return next((each for each in self.renewals if each.holder and each.stamp > start), None)


@asynccontextmanager
async def watched(api: Api) -> AsyncIterator[Lease]:
    """Watch it for as long as the block."""
    lease = Lease()
    task = asyncio.create_task(_follow(api, lease))
    try:
        yield lease
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(api: Api, lease: Lease) -> None:
    selected = f"fieldSelector=metadata.name%3D{NAME}"
    found = await api.get(f"{_PATH}?{selected}")
    for item in found["items"]:
        lease.note(item)
    version = found["metadata"]["resourceVersion"]
    while True:
        async for event in api.watch(_PATH, version, selected):
            version = event["object"]["metadata"]["resourceVersion"]
            lease.note(event["object"])
