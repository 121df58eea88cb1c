"""One measurement: N objects created, watched until all are done, and what it cost."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from api import Api, BenchError, Object
from loads import Load
from posting import post
from readings import Operator, Reading, read

PATIENCE, PATIENCE_EACH = 600, 0.5
# Events and last statuses come late; they belong to the window that caused them.
SETTLE = 5


@dataclass(frozen=True, slots=True)
class Window:
    """What N objects took.

    Attributes:
        posted: Seconds until all were created.
        seconds: Seconds until all had a condition, by its type.
        cost: Growth of all counters.
        told: Events that the operator wrote.
        peak: The operator's largest resident memory, MiB.
        client: CPU seconds of this process.
    """

    load: Load
    n: int
    posted: float
    seconds: Mapping[str, float]
    cost: Reading
    told: int
    peak: float
    client: float


@dataclass(slots=True)
class _Progress:
    """Who has come how far."""

    load: Load
    n: int
    seen: dict[str, dict[str, float]] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.seen = {mark: {} for mark in self.load.marks}

    def note(self, item: Object, now: float) -> None:
        """Note what an object has come to.

        Raises:
            BenchError: It failed, so that the figures would be of something else.
        """
        name = item["metadata"]["name"]
        held = {c["type"]: c for c in item.get("status", {}).get("conditions") or ()}
        kind, status = self.load.failed
        if held.get(kind, {}).get("status") == status:
            raise BenchError(f"{name} failed: {held[kind].get('message')}")
        for mark, times in self.seen.items():
            if name not in times and held.get(mark, {}).get("status") == "True":
                times[name] = now
        if all(len(times) == self.n for times in self.seen.values()):
            self.done.set()

    def last(self) -> dict[str, float]:
        """Return when the last one came to each mark."""
        return {mark: max(times.values()) for mark, times in self.seen.items()}

    def __str__(self) -> str:
        return ", ".join(f"{len(times)} {mark}" for mark, times in self.seen.items())


async def measure(
    api: Api, operator: Operator, load: Load, n: int, space: str, *, rate: float = 0
) -> Window:
    """Create *n* objects in an empty namespace, and wait until all of them are done.

    Args:
        rate: So many are created a second; 0: as fast as it goes.
    """
    path = load.path.format(space)
    version = (await api.get(path))["metadata"]["resourceVersion"]
    await asyncio.sleep(SETTLE)
    progress = _Progress(load, n)
    before, used = await read(api, operator), sum(os.times()[:2])
    async with operator.watched():
        start = time.monotonic()
        watching = asyncio.create_task(_watch(api, path, version, progress, start))
        posting = asyncio.create_task(_post(api, path, load, n, rate))
        try:
            await _finished(watching, progress)
            posted = await posting
        finally:
            watching.cancel()
            posting.cancel()
        client = sum(os.times()[:2]) - used
        await asyncio.sleep(SETTLE)
    cost = (await read(api, operator)).since(before)
    told = await _told(api, space)
    return Window(load, n, posted, progress.last(), cost, told, operator.peak, client)


async def _finished(watching: "asyncio.Task[None]", progress: _Progress) -> None:
    waiting = asyncio.create_task(progress.done.wait())
    both = {watching, waiting}
    try:
        seconds = PATIENCE + PATIENCE_EACH * progress.n
        await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if watching.done():
        await watching
    if not progress.done.is_set():
        raise BenchError(f"of {progress.n} {progress.load.name}: {progress} in {seconds:.0f} s")


async def _watch(api: Api, path: str, version: str, progress: _Progress, start: float) -> None:
    # The API server ends a watch whose client is slow, as this one is while it creates thousands.
    while True:
        async for event in api.watch(path, version):
            if event["type"] == "ERROR":
                raise BenchError(f"watch {path}: {event['object'].get('message')}")
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "DELETED":
                progress.note(event["object"], time.monotonic() - start)
        await asyncio.sleep(0.1)


async def _post(api: Api, path: str, load: Load, n: int, rate: float) -> float:
    start = time.monotonic()
    if rate:
        for number in range(n):
            await asyncio.sleep(start + number / rate - time.monotonic())
            await api.create(path, load.body(number))
    else:
        await post(api, path, map(load.body, range(n)))
    return time.monotonic() - start


async def _told(api: Api, space: str) -> int:
    """Count the operator's Events: the API server's counters do not tell whose one is."""
    told, token = 0, ""
    while True:
        path = f"/apis/events.k8s.io/v1/namespaces/{space}/events?limit=500&continue={token}"
        page = await api.get(path)
        tellers = [event.get("reportingController") for event in page["items"]]
        told += tellers.count("trainyard.dev/operator")
        token = str(page["metadata"].get("continue") or "")
        if not token:
            return told
