"""Large files on their way: in slices, resumed, waited for as long as they move."""

import hashlib
import itertools
from pathlib import Path

import pytest
from builders.agent_service import Service
from trainyard_agent.transport import Tracking
from trainyard_api import slices


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_large_file_goes_in_slices_each_once(
    service: Service, tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE", 4)
    (tmp_path / "large").write_bytes(b"0123456789")

    assert tracking.upload("/blobs/large", tmp_path / "large", size=10)
    assert service.contents["/blobs/large"] == b"0123456789"
    assert service.received == [4, 4, 2]


@pytest.mark.parametrize(
    ("fault", "received"),
    [
        pytest.param("unheard", [4, 4, 2], id="what arrived is not sent again"),
        pytest.param("half", [4, 2, 4], id="what is missing of a slice is sent"),
        pytest.param("busy", [4, 4, 2], id="another that sends the same is waited for"),
    ],
)
@pytest.mark.usefixtures("small_slices")
def test_an_upload_that_was_cut_off_goes_on(
    service: Service, tracking: Tracking, tmp_path: Path, fault: str, received: list[int]
) -> None:
    (tmp_path / "large").write_bytes(b"0123456789")
    service.faults = ["", fault]

    assert tracking.upload("/blobs/large", tmp_path / "large", size=10)
    assert service.contents["/blobs/large"] == b"0123456789"
    assert service.received == received


@pytest.mark.usefixtures("small_slices")
def test_patience_begins_anew_with_each_slice_also_where_the_service_lost_the_file(
    service: Service, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"0123456789")
    service.faults = ["", "", "lost", "", "away"]
    seconds = itertools.count()
    hasty = Tracking(
        service.url, "t", patience=0, say=said.append, sleep=lambda _: None, clock=seconds.__next__
    )

    assert hasty.upload("/blobs/large", tmp_path / "large", size=10)
    assert service.received == [4, 4, 4, 4, 2]


def test_an_upload_whose_last_answer_was_lost_is_there_and_not_sent_again(
    service: Service, tracking: Tracking, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    service.faults = ["unheard"]

    tracking.upload("/blobs/file", tmp_path / "file", size=10)

    assert service.received == [10]


@pytest.mark.parametrize("left", [b"wrong", b"more than the file has"])
def test_what_another_left_of_an_upload_is_tried_once_and_then_sent_anew(
    service: Service,
    tracking: Tracking,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: bytes,
) -> None:
    monkeypatch.setattr(slices, "SLICE", 4)
    (tmp_path / "large").write_bytes(b"0123456789")
    path = f"/blobs/{digest_of(b'0123456789')}"
    service.partial[path] = left

    tracking.upload(path, tmp_path / "large", size=10)

    assert service.contents[path] == b"0123456789"


def test_an_upload_waits_as_long_as_it_moves(
    service: Service, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE", 1)
    (tmp_path / "large").write_bytes(b"0123456789")
    seconds = itertools.count(step=100)
    tracking = Tracking(
        service.url,
        "t",
        patience=150,
        say=said.append,
        sleep=lambda _: None,
        clock=lambda: next(seconds),
    )
    service.faults = ["", "away"] * 9

    assert tracking.upload("/blobs/large", tmp_path / "large", size=10)
    assert len(said) == 9


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(b"0123456789", id="goes on if the file is the same"),
        pytest.param(b"another one", id="begins anew if it was written over"),
    ],
)
def test_a_download_without_a_digest_that_broke_off(
    service: Service, tracking: Tracking, tmp_path: Path, meanwhile: bytes
) -> None:
    service.contents["/source/x"] = b"0123456789"
    service.changes["/source/x"] = meanwhile
    service.cut = 1

    size = tracking.download("/source/x", tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == meanwhile
    assert size == len(meanwhile)
    assert service.ranges == ["", "bytes=5-"]
