"""Large files on their way in: in bounded memory, resumed, and never half there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders.tracking import SCIENTIST, FileObjects, bearer
from builders.uploads import chunks, content, send_as_agent, send_as_sdk
from starlette.requests import ClientDisconnect
from trainyard_api import slices
from trainyard_api.slices import PART, part_size
from trainyard_tracking import incoming
from trainyard_tracking import uploads as module
from trainyard_tracking.errors import Conflict, Refused, TooLarge, Unavailable, Unprocessable
from trainyard_tracking.uploads import Slice, Uploads

API = "/api/trainyard/v1/namespaces/team"


@pytest.fixture
def slices_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", PART)
    monkeypatch.setattr("trainyard._tracking.SLICE", PART)


@pytest.mark.parametrize("send", [send_as_agent, send_as_sdk])
def test_a_large_file_arrives_in_slices_as_one_upload(
    world: Any, tmp_path: Path, slices_of_a_part: None, send: Callable[..., None]
) -> None:
    data, digest = content(send.__name__)
    world.objects.calls.clear()

    send(world, data, digest, tmp_path)

    blob = world.client.get(f"{API}/blobs/sha256:{digest}", headers=bearer(SCIENTIST))
    assert blob.content == data
    assert [call for call in world.objects.calls if call in {"begin", "part", "complete"}] == [
        "begin",
        "part",
        "part",
        "part",
        "complete",
    ]


def test_an_upload_goes_on_where_the_store_failed_it(
    world: Any, tmp_path: Path, slices_of_a_part: None
) -> None:
    data, digest = content("fails in the middle")
    world.objects.calls.clear()
    world.objects.failing["complete"] = []
    # The second part fails once; the first is not sent again.
    world.objects.failing["part"] = [None, Unavailable("S3 is away")]

    send_as_agent(world, data, digest, tmp_path)

    assert world.objects.calls.count("begin") == 1
    assert world.objects.calls.count("part") == 4
    assert not world.objects.uploads


def test_bytes_with_another_digest_are_dropped(world: Any) -> None:
    data, _ = content("not what it says")
    other = "0" * 64

    answer = world.client.put(
        f"{API}/blobs/sha256:{other}", content=data, headers=bearer(SCIENTIST)
    )

    assert answer.status_code == 422
    assert not world.objects.uploads
    told = world.client.get(f"{API}/blobs/sha256:{other}/upload", headers=bearer(SCIENTIST))
    assert told.json() == {"complete": False, "offset": 0}


def test_a_slice_that_does_not_fit_is_refused(world: Any) -> None:
    path = f"{API}/blobs/sha256:{'1' * 64}"

    def put(headers: dict[str, str], data: bytes = b"12345") -> httpx.Response:
        return world.client.put(path, content=data, headers=bearer(SCIENTIST, **headers))

    assert put({"Content-Range": "bytes 5-9/20"}).status_code == 409
    for wrong in ("bytes 5-8/20", "bytes 9-5/20", "bytes 0-4/3", "5-9/20", "bytes 0-4/*"):
        answer = put({"Content-Range": wrong})
        assert answer.status_code == 400
        assert "Content-Range" in answer.json()["message"]


async def test_memory_is_three_parts_whatever_the_file_has(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, sent, read = [], 0, 0
    monkeypatch.setattr(FileObjects, "complete", lambda *_, **__: True)

    def part(_: Any, key: str, upload: str, number: int, data: bytes) -> str:
        nonlocal sent
        sent += len(data)
        return ""

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(20 * PART >> 20):
            read += 1 << 20
            ahead.append(read - sent)
            yield bytes(1 << 20)

    monkeypatch.setattr(FileObjects, "part", part)
    await uploads.take("key", endless(), 20 * PART)

    assert max(ahead) <= 3 * PART


@pytest.mark.parametrize("size", [5, None, 3 * PART])
async def test_who_goes_away_leaves_nothing(
    uploads: Uploads, objects: FileObjects, size: int | None
) -> None:
    with pytest.raises(Unavailable, match="went away"):
        await uploads.take("key", chunks(b"12", ClientDisconnect()), size)

    assert objects.stat("key") is None
    assert not objects.uploads
    assert not list(uploads.notes.glob("*"))


async def test_a_slice_that_was_cut_off_counts_as_far_as_it_was_sent_on(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("cut off", 3 * PART)
    whole = Slice(0, 3 * PART, 4 * PART)

    with pytest.raises(Unavailable):
        await uploads.take_slice(
            "key", chunks(data[: PART + 9], ClientDisconnect()), whole, digest=digest
        )

    assert uploads.offset("key") == PART


async def test_a_body_that_is_shorter_than_it_says_is_no_file(
    uploads: Uploads, objects: FileObjects
) -> None:
    for size in (10, 3 * PART):
        with pytest.raises(Unavailable, match="ended after 5"):
            await uploads.take("key", chunks(b"12345"), size)
    with pytest.raises(Refused, match="more than 3 bytes"):
        await uploads.take("key", chunks(b"12345"), 3)
    assert objects.stat("key") is None


async def test_more_than_the_installation_takes_is_refused_before_it_is_read(
    objects: FileObjects, tmp_path: Path
) -> None:
    uploads = Uploads(objects, tmp_path / "uploads", largest=10)

    for some in (Slice(0, 11, 11), Slice(0, 5, 11)):
        with pytest.raises(TooLarge, match="largestFile"):
            await uploads.take_slice("key", chunks(b""), some, digest="0" * 64)
    with pytest.raises(TooLarge):
        await uploads.take("key", chunks(b"x" * 11), None)
    assert not objects.uploads


async def test_one_request_at_a_time_sends_a_file(uploads: Uploads) -> None:
    data, digest = content("two at once", PART)
    going = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        going.set()
        await asyncio.sleep(3600)
        yield b""

    first = asyncio.ensure_future(
        uploads.take_slice("key", slow(), Slice(0, PART, 2 * PART), digest=digest)
    )
    await going.wait()

    with pytest.raises(Conflict, match="Another request"):
        await uploads.take_slice("key", chunks(data), Slice(0, PART, 2 * PART), digest=digest)
    first.cancel()


async def test_a_sender_that_falls_silent_is_given_up(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_SILENCE_SECONDS", 0.01)

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(Unavailable, match="Nothing came"):
        await uploads.take("key", silent(), 2 * PART)
    assert not objects.uploads


async def test_slices_that_nobody_goes_on_with_are_aborted(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("left", PART)
    await uploads.take_slice("left", chunks(data), Slice(0, PART, 2 * PART), digest=digest)
    uploads._kept["left"].at -= module._KEPT_SECONDS + 1

    await uploads.take_slice("other", chunks(data), Slice(0, PART, 2 * PART), digest=digest)

    assert uploads.offset("left") == 0
    assert len(objects.uploads) == 1


async def test_slices_are_kept_until_the_next_attempt_has_fetched_its_model(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("slow", PART)
    await uploads.take_slice("slow", chunks(data), Slice(0, PART, 2 * PART), digest=digest)
    uploads._kept["slow"].at -= timedelta(hours=20).total_seconds()

    await uploads.take_slice("other", chunks(data), Slice(0, PART, 2 * PART), digest=digest)

    assert uploads.offset("slow") == PART


async def test_an_upload_that_no_note_can_be_taken_of_is_aborted(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("full", PART)
    uploads.notes.parent.mkdir(parents=True, exist_ok=True)
    uploads.notes.write_text("no folder: as on a volume that is full")

    with pytest.raises(Unavailable, match="volume takes no files"):
        await uploads.take_slice("full", chunks(data), Slice(0, PART, 2 * PART), digest=digest)

    assert not objects.uploads


async def test_what_a_kill_left_behind_is_aborted_at_the_next_start(
    uploads: Uploads, objects: FileObjects, tmp_path: Path
) -> None:
    data, digest = content("killed", PART)
    await uploads.take_slice("killed", chunks(data), Slice(0, PART, 2 * PART), digest=digest)
    (tmp_path / "spool" / "upload-x").mkdir()
    note = json.loads(next(uploads.notes.glob("*.json")).read_text())

    again = Uploads(objects, uploads.notes, 1 << 40)
    again.sweep(again.left())

    assert note["key"] == "killed"
    assert not objects.uploads
    assert [each.name for each in (tmp_path / "spool").rglob("*")] == ["uploads"]


@pytest.mark.parametrize(
    ("total", "size"),
    [
        pytest.param(0, PART, id="nothing"),
        pytest.param(20 << 30, PART, id="20 GiB"),
        pytest.param(100 << 30, 11 << 20, id="100 GiB"),
        pytest.param(None, PART, id="nobody knows"),
    ],
)
def test_the_parts_grow_so_that_no_file_has_too_many(total: int | None, size: int) -> None:
    assert part_size(total) == size
    assert (total or 0) <= size * 10_000


async def test_a_wrong_end_of_slices_is_dropped_so_that_they_begin_anew(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("wrong end")
    total = len(data)
    await uploads.take_slice("key", chunks(b"?" * PART), Slice(0, PART, total), digest=digest)

    rest = Slice(PART, total - PART, total)
    with pytest.raises(Unprocessable):
        await uploads.take_slice("key", chunks(data[PART:]), rest, digest=digest)

    assert uploads.offset("key") == 0
    assert not objects.uploads
