"""Answers that something else than the tracking service gives."""

import pytest
from builders.agent_service import Service
from trainyard_agent.errors import TransportError
from trainyard_agent.transport import Tracking


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"files": [', b"[1]", b"[" * 9000])
def test_an_answer_that_is_no_json_object_is_waited_out_and_told(
    service: Service, said: list[str], answer: bytes
) -> None:
    service.contents["/source"] = answer
    hasty = Tracking(service.url, "t", patience=0, say=said.append, sleep=lambda _: None)

    with pytest.raises(TransportError, match="something else answer there") as caught:
        hasty.json("/source")

    assert caught.value.reason == "TrackingUnavailable"
