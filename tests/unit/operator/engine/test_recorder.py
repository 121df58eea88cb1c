"""Events: what they say, and how often."""

from datetime import timedelta

from builders import given
from builders.stage import NOW
from trainyard_operator.engine.plan import Event
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
