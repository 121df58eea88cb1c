"""What the tests of logs share: stamped lines, streams of given pieces, and both their ends."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from trainyard_operator.engine.errors import Conflict, NotFound, Retry
from trainyard_operator.names import Log


def stamped(*lines: str, begin: int = 0, end: str = "\n") -> bytes:
    """Return lines as a node gives them, a second apart from 12:00 on."""
    text = "\n".join(f"2026-11-24T12:00:{n:02d}.5Z {line}" for n, line in enumerate(lines, begin))
    return (text + end).encode()


class Stream:
    """A response's content in given pieces; an exception is raised where it stands."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)

    async def readany(self) -> bytes:
        """Return the next piece, and nothing at the end."""
        await asyncio.sleep(0)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


class FakePodLog:
    """The API server's log of one pod: each read gets the next answer."""

    def __init__(self, *answers: Sequence[bytes | Exception] | Exception) -> None:
        self.answers = list(answers)
        self.since: list[str] = []
        self.followed: list[bool] = []

    @asynccontextmanager
    async def log(
        self, namespace: str, pod: str, *, container: str, since: str = "", follow: bool = True
    ) -> AsyncIterator[Stream]:
        assert (namespace, pod, container) == ("team", "r-a1-0-x", "main")
        self.since.append(since)
        self.followed.append(follow)
        answer = self.answers.pop(0) if self.answers else NotFound("NotFound", "gone")
        if isinstance(answer, Exception):
            raise answer
        yield Stream(*answer)

    @property
    def is_read(self) -> bool:
        return not self.answers


class FakeSink:
    """The tracking service's spool of one attempt."""

    def __init__(self, held: bytes = b"", place: str = "") -> None:
        self.held, self.place = held, place
        self.failures: list[Exception] = []
        self.asked = 0
        self.lost_answers = 0

    async def log_offset(self, *_: Any) -> tuple[int, str]:
        self.asked += 1
        return len(self.held), self.place

    async def append_log(self, *_: Any, offset: int, reached: str, data: bytes) -> int:
        if self.failures:
            raise self.failures.pop(0)
        if offset != len(self.held):
            raise Conflict("Conflict", "wrong offset")
        self.held, self.place = self.held + data, reached
        if self.lost_answers:
            self.lost_answers -= 1
            raise Retry("TrackingUnavailable", "the answer was lost")
        return len(self.held)


class SinkByLog:
    """The tracking service's spools of several logs."""

    def __init__(self) -> None:
        self.sinks: dict[tuple[int, int], FakeSink] = defaultdict(FakeSink)

    async def log_offset(self, log: Log) -> tuple[int, str]:
        return await self.sinks[log.attempt, log.index].log_offset()

    async def append_log(self, log: Log, **told: Any) -> int:
        return await self.sinks[log.attempt, log.index].append_log(**told)
