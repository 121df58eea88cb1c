"""Events: what they say, and how often."""

import asyncio
from datetime import timedelta
from typing import Any

from builders import given
from builders.stage import NOW
from trainyard_operator.engine.plan import Event, Object
from trainyard_operator.engine.recorder import Recorder, event_object


def test_an_event_says_who_what_and_why() -> None:
    body = event_object(given.run(), Event("Warning", "ExitCode", "3"), now=NOW, identity="me")

    assert body["regarding"]["kind"] == "Run"
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "ExitCode", "3")


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
