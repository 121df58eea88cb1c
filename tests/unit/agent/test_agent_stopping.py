"""What the agent does when its pod is to go, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from builders.agent_service import Service
from trainyard_agent.transport import Tracking
from trainyard_api.slices import SLICE

WORDS = ["publish", "--namespace", "team", "--model", "model", "--fields", "fields.json"]


def test_who_is_told_to_stop_ends_at_once_and_the_next_goes_on_where_it_was(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    large = tmp_path / "model" / "weights"
    large.write_bytes(bytes(SLICE + 3))
    (tmp_path / "fields.json").write_text("{}")
    (tmp_path / "log").touch()
    settings = {
        "TRAINYARD_TRACKING_URL": service.url,
        "TRAINYARD_TERMINATION_LOG": str(tmp_path / "log"),
    }
    service.faults = ["", "silent"]

    with subprocess.Popen(
        [sys.executable, "-m", "trainyard_agent", *WORDS],
        cwd=tmp_path,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert service.silent.wait(60)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    (path,) = service.partial
    there = Tracking(service.url, "").upload(path, large, size=SLICE + 3)

    assert process.returncode == 128 + signal.SIGTERM
    assert json.loads((tmp_path / "log").read_text())["reason"] == "Stopped"
    assert said.endswith("its pod is deleted, or leaves its node\n")
    assert there
    assert service.received == [SLICE, 3]
