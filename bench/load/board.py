"""What the objects of a collection have come to, and when, as one watch tells."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api import Api, BenchError, Object, until
from trainyard_api.contract import API_VERSION, ATTEMPT_LABEL, RUN_LABEL, RUNS

Marks = Callable[[Object], tuple[str, Iterable[str]]]
RUN_PATH = f"/apis/{API_VERSION}/namespaces/{{}}/{RUNS}"
JOB_PATH = "/apis/batch/v1/namespaces/{}/jobs"


@dataclass(slots=True)
class Board:
    """Marks that objects have come to.

    Attributes:
        when: Seconds since the epoch at which a mark was first seen, by name and mark.
    """

    when: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, name: str, marks: Iterable[str]) -> None:
        now, held = time.time(), self.when[name]
        for mark in marks:
            if mark not in held:
                held[mark] = now
                self.counts[mark] += 1

    async def reached(self, mark: str, n: int, *, seconds: float) -> float:
        """Wait until *n* objects have a mark; return when the last of them came to it."""

        async def check() -> bool:
            return self.counts[mark] >= n

        try:
            await until(check, what=f"{n} objects are {mark}", seconds=seconds, every=0.1)
        except BenchError as exc:
            raise BenchError(f"{exc}: {dict(self.counts)}") from exc
        return max(held[mark] for held in self.when.values() if mark in held)

    async def moment(self, name: str, mark: str, *, seconds: float) -> float:
        """Wait until an object has a mark; return when it came to it."""

        async def check() -> bool:
            return mark in self.when[name]

        await until(check, what=f"{name} is {mark}", seconds=seconds, every=0.02)
        return self.when[name][mark]

    def delays(self, mark: str, since: dict[str, float]) -> list[float]:
        """Return how long each took to a mark, of those that came to it."""
        return [
            self.when[name][mark] - begun
            for name, begun in since.items()
            if mark in self.when[name]
        ]

    def lacking(self, mark: str, names: Collection[str]) -> list[str]:
        return [name for name in names if mark not in self.when[name]]


def run_marks(item: Object) -> tuple[str, list[str]]:
    """Mark a Run with its phase, its true conditions, and the reason of its end."""
    status = item.get("status") or {}
    marks = [str(status["phase"])] if status.get("phase") else []
    for condition in status.get("conditions") or ():
        if condition["status"] == "True":
            marks.append(condition["type"])
        if condition["type"] == "Finished" and condition["reason"] == "Cancelled":
            marks.append("Cancelled")
    return item["metadata"]["name"], marks


def job_marks(item: Object) -> tuple[str, list[str]]:
    """Mark the Run of a Job with the attempt whose Job it is."""
    labels = item["metadata"].get("labels") or {}
    return labels.get(RUN_LABEL, ""), ["Job", f"Job {labels.get(ATTEMPT_LABEL)}"]


@asynccontextmanager
async def watching(api: Api, path: str, marks: Marks) -> AsyncIterator[Board]:
    """Give the board of a collection that is empty now."""
    board = Board()
    version = (await api.get(f"{path}?limit=1"))["metadata"]["resourceVersion"]
    task = asyncio.create_task(_follow(api, path, version, board, marks))
    try:
        yield board
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(api: Api, path: str, version: str, board: Board, marks: Marks) -> None:
    while True:
        async for event in api.watch(path, version):
            if event["type"] == "ERROR":
                print(f"  ! watch {path}: {event['object'].get('message')}", flush=True)
                return
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "DELETED":
                board.note(*marks(event["object"]))
