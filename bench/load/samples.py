"""The operator's own figures, read again and again from all of its replicas."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from api import Api, BenchError
from readings import metrics_of, replicas, samples, total

EVERY = 1.0
# PUT is the lease's alone, and a GET changes nothing.
_WRITES = ("POST", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process said of itself.

    Attributes:
        began, at: Seconds since the epoch when it was asked, and had answered.
        born: When the process started: what was counted before is another's.
        writes: Writes to the API server that were answered 2xx, without the lease.
    """

    began: float
    at: float
    pod: str
    born: float
    leads: bool
    rss: float
    cpu: float
    files: float
    writes: float
    tracking: float


@dataclass(slots=True)
class Samples:
    """All that was read so far."""

    taken: list[Sample] = field(default_factory=list)

    def peak(self, start: float = 0.0, end: float = float("inf")) -> float:
        """Return the largest resident memory, MiB."""
        return max((each.rss for each in self.taken if start <= each.at <= end), default=0.0)

    def grown(self, name: str, start: float, end: float) -> float:
        """Return how much a counter grew a second, of time that anyone led, over all processes."""
        growth, seconds = 0.0, 0.0
        for _, _, old, new in self.steps(start, end):
            growth += getattr(new, name) - getattr(old, name)
            seconds += (new.at - old.at) if new.leads else 0.0
        return growth / seconds if seconds else 0.0

    def steps(self, start: float, end: float) -> list[tuple[str, float, Sample, Sample]]:
        """Return neighbouring samples of the same process, in a window."""
        last: dict[tuple[str, float], Sample] = {}
        found = []
        for each in self.taken:
            if start <= each.began and each.at <= end:
                process = (each.pod, each.born)
                if process in last:
                    found.append((*process, last[process], each))
                last[process] = each
        return found


@asynccontextmanager
async def sampled(api: Api, *, every: float = EVERY) -> AsyncIterator[Samples]:
    """Read for as long as the block."""
    held = Samples()
    task = asyncio.create_task(_sample(api, held, every))
    try:
        yield held
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sample(api: Api, held: Samples, every: float) -> None:
    names: list[str] = []
    looked = 0.0
    while True:
        began = time.time()
        if began - looked > 1:
            looked = began
            with suppress(BenchError):
                names = [pod["metadata"]["name"] for pod in await replicas(api)]
        await asyncio.gather(*(_ask(api, name, held) for name in names))
        await asyncio.sleep(max(0.0, began + every - time.time()))


async def _ask(api: Api, pod: str, held: Samples) -> None:
    began = time.time()
    try:
        async with asyncio.timeout(2):
            text = await api.text(metrics_of(pod))
    except (BenchError, TimeoutError):
        return  # it starts, ends, or is stopped
    held.taken.append(_read(text, pod, began))


def _read(text: str, pod: str, began: float) -> Sample:
    return Sample(
        began=began,
        at=time.time(),
        pod=pod,
        born=total(text, "process_start_time_seconds"),
        leads=bool(total(text, "leader_election_master_status")),
        rss=total(text, "process_resident_memory_bytes") / 2**20,
        cpu=total(text, "process_cpu_seconds_total"),
        files=total(text, "process_open_fds"),
        writes=sum(
            value
            for labels, value in samples(text, "rest_client_requests_total")
            if labels["method"] in _WRITES and labels["code"].startswith("2")
        ),
        tracking=total(text, "trainyard_tracking_client_requests_total"),
    )
