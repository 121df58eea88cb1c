"""What takes long says how far it is; what fails does not wait for what goes on beside it."""

import hashlib
import tarfile
import threading
from functools import partial
from pathlib import Path

import pytest
from builders.agent_service import Service
from trainyard_agent import archive, beside
from trainyard_agent.publish import publish
from trainyard_agent.transport import Tracking
from trainyard_api import progress

_MIB = 1 << 20


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)


def test_reading_a_model_for_its_digests_is_told(tracking: Tracking, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * _MIB))
    (tmp_path / "b").write_bytes(bytes(_MIB))
    said: list[str] = []

    publish(tracking, tmp_path, fields={}, say=said.append)

    assert said[:3] == ["read: 1 of 3 MiB", "read: 2 of 3 MiB", "read: 3 of 3 MiB"]


def test_fetching_and_unpacking_an_archive_are_told(
    service: Service, tracking: Tracking, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "weights").write_bytes(bytes(3 * _MIB))
    with tarfile.open(tmp_path / "packed", "w:gz", compresslevel=0) as tar:
        tar.add(tmp_path / "weights", "weights")
    packed = (tmp_path / "packed").read_bytes()
    digest = f"sha256:{hashlib.sha256(packed).hexdigest()}"
    service.contents[f"/blobs/{digest}"] = packed

    archive.fetch(tracking, digest=digest, into=tmp_path / "work", say=said.append)

    assert "source.tar.gz: 1 of 3 MiB" in said
    assert "unpacked: 3 MiB" in said


def test_what_fails_does_not_wait_for_what_is_under_way_or_to_come() -> None:
    let_go, begun = threading.Event(), threading.Event()
    made: list[int] = []

    def slow() -> None:
        begun.set()
        let_go.wait(60)

    def fail() -> None:
        begun.wait(60)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        beside.each([slow, slow, slow, fail, *(partial(made.append, n) for n in range(9))])

    assert not let_go.is_set()
    let_go.set()


def test_what_all_return_comes_in_order() -> None:
    assert beside.each([partial(int, n) for n in range(20)]) == list(range(20))
