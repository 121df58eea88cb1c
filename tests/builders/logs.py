"""What the tests of logs share: stamped lines, streams of given pieces, and both their ends."""

import asyncio
from base64 import b64decode
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    Retry,
    Terminal,
    Unavailable,
)
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


class FakeService(SinkByLog):
    """The tracking service, with the end of one Run.

    Attributes:
        archived: Logs by attempt and index, once the Run is finished.
        failures: Of calls that finish it; an Unavailable is an answer that was lost.
        is_older: Takes the numbers of attempts alone.
        is_closed: Finishes nothing, but takes appends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.archived: dict[tuple[int, int], bytes] = {}
        self.failures: list[Exception] = []
        self.is_older = False
        self.is_closed = False

    async def put_run(self, *_: Any) -> Mapping[str, Any]:
        self.calls.append("put")
        return {}

    async def append_log(self, log: Log, **told: Any) -> int:
        self.calls.append("append")
        if (log.attempt, log.index) in self.archived:
            raise Terminal("TrackingRefused", "archived already")
        return await super().append_log(log, **told)

    async def finish_run(self, _: str, __: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append("finish")
        if self.is_closed:
            raise Unavailable("TrackingUnavailable", "its store takes nothing")
        failure = self.failures.pop(0) if self.failures else None
        if failure and not isinstance(failure, Unavailable):
            raise failure
        logs = [each for each in body["logs"] if isinstance(each, Mapping)]
        if logs and self.is_older:
            raise Terminal("TrackingRefused", "logs.1: Input should be a valid integer")
        for each in logs:
            await self._take(each["attempt"], each["index"], each["tail"])
        for place in (*((number, 0) for number in body["logs"] if number not in logs), *self.sinks):
            self.archived.setdefault(place, self.sinks[place].held)
        if failure:
            raise failure
        return {}

    async def _take(self, attempt: int, index: int, tail: Mapping[str, Any]) -> None:
        sink = self.sinks[attempt, index]
        if (attempt, index) not in self.archived and sink.place != tail["place"]:
            data = b64decode(tail["data"])
            await sink.append_log(offset=tail["offset"], reached=tail["place"], data=data)
