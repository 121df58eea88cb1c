"""Events: what they say, and how often."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from builders import given
from builders.stage import NOW
from trainyard_operator.engine import recorder as recording
from trainyard_operator.engine.errors import Conflict, NotFound, OperatorError, Unavailable
from trainyard_operator.engine.plan import Event, Object, Ref
from trainyard_operator.engine.recorder import Recorder, event_object


class FakeEvents:
    """The API server's Events, each with its count; the next call may fail."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.failures: list[OperatorError] = []

    async def post(self, made: Object) -> Object:
        self._fail()
        if self.held.setdefault(made["metadata"]["name"], 0):
            raise Conflict("Conflict", "it exists")
        self.held[made["metadata"]["name"]] = 1
        return made

    async def patch(self, ref: Ref, patch: Object) -> Object:
        self._fail()
        if ref.name not in self.held:
            raise NotFound("NotFound", "no such event")
        self.held[ref.name] = patch["series"]["count"]
        return patch

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


async def tell(recorder: Recorder, *minutes: int, reason: str = "A") -> None:
    """Tell the same Event after so many minutes, and have it written each time."""
    writing = asyncio.create_task(recorder.run())
    for minute in minutes:
        event = Event("Normal", reason, reason)
        recorder.tell(given.run(), event, now=NOW + timedelta(minutes=minute))
        await recorder.flush(patience=5)
    writing.cancel()


def test_an_event_says_who_what_and_why() -> None:
    body = event_object(given.run(), Event("Warning", "ExitCode", "3"), now=NOW, identity="me")

    assert body["regarding"]["kind"] == "Run"
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "ExitCode", "3")


@pytest.mark.parametrize("letter", ["a", "é", "学", "😀"])
def test_a_note_is_no_longer_than_the_api_server_takes(letter: str) -> None:
    event = Event("Warning", "ExitCode", "n" + letter * 2000)
    note = event_object(given.run(), event, now=NOW, identity="me")["note"]

    assert 1020 < len(note.encode()) <= 1024
    assert set(note) == {"n", letter}


async def test_the_same_event_is_written_once_a_minute() -> None:
    recorder = Recorder(None, identity="me")  # type: ignore[arg-type]
    event = Event("Normal", "A", "a")
    for second in (0, 1, 59, 61):
        recorder.tell(given.run(), event, now=NOW + timedelta(seconds=second))

    assert recorder._pending.qsize() == 2


async def test_what_was_told_is_written_before_the_end() -> None:
    written: list[str] = []

    class Writer:
        async def post(self, made: Object) -> Object:
            await asyncio.sleep(0)
            written.append(made["reason"])
            return made

    kube: Any = Writer()
    recorder = Recorder(kube, identity="me")
    for reason in ("A", "B"):
        recorder.tell(given.run(), Event("Normal", reason, reason), now=NOW)
    writing = asyncio.create_task(recorder.run())
    await recorder.flush(patience=5)
    writing.cancel()

    assert written == ["A", "B"]


async def test_what_is_told_again_joins_its_series_whoever_told_it_first() -> None:
    kube: Any = FakeEvents()
    await tell(Recorder(kube, identity="me"), 0, 1)
    assert list(kube.held.values()) == [2]

    await tell(Recorder(kube, identity="another"), 2)
    assert list(kube.held.values()) == [2]


async def test_an_event_that_the_api_server_let_go_is_made_anew() -> None:
    kube: Any = FakeEvents()
    recorder = Recorder(kube, identity="me")
    await tell(recorder, 0)
    kube.held.clear()
    await tell(recorder, 120)

    assert list(kube.held.values()) == [1]


async def test_an_event_that_could_not_be_written_is_made_the_next_time() -> None:
    kube: Any = FakeEvents()
    kube.failures = [Unavailable("APIServerUnavailable", "it does not answer")]
    recorder = Recorder(kube, identity="me")
    await tell(recorder, 0)
    assert not kube.held
    await tell(recorder, 1)

    assert list(kube.held.values()) == [1]


async def test_an_event_that_found_no_place_is_written_as_soon_as_it_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "_PENDING", 1)
    kube: Any = FakeEvents()
    recorder = Recorder(kube, identity="me")
    for reason in ("A", "B"):
        recorder.tell(given.run(), Event("Normal", reason, reason), now=NOW)
    await tell(recorder, 0, reason="A")
    await tell(recorder, 0, reason="B")

    assert list(kube.held.values()) == [1, 1]
