"""Logs are followed without pauses, if a test does not say otherwise."""

import pytest
from trainyard_operator.logs import follower, limits
from trainyard_operator.logs import keeper as keeping


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("_PAUSE", "_STATUS_SECONDS"):
        monkeypatch.setattr(follower, pause, 0.0)
    monkeypatch.setattr(keeping, "FOLLOW_AFTER", 0.0)
    for pause in ("LOOK_SECONDS", "POLL_SECONDS", "PATIENCE_SECONDS"):
        monkeypatch.setattr(limits, pause, 0.0)
