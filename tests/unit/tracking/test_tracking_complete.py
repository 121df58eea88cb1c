"""The end of a large file: what fails at it is tried again, and no byte of it is sent again."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders.tracking import SCIENTIST, FileObjects, bearer
from builders.uploads import chunks, content, send_as_agent, send_as_sdk
from trainyard_api import slices
from trainyard_api.slices import PART, part_size, slice_size
from trainyard_tracking import uploads as module
from trainyard_tracking.errors import Conflict, Lost, Unavailable
from trainyard_tracking.uploads import Slice, Uploads

API = "/api/trainyard/v1/namespaces/team"
AWAY = Unavailable("S3 is away")
SENDS = pytest.mark.parametrize("send", [send_as_agent, send_as_sdk])


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr("trainyard._patience.pause", lambda _: None)
    monkeypatch.setattr(slices, "SLICE", PART)
    monkeypatch.setattr("trainyard._tracking.SLICE", PART)


async def all_but_together(uploads: Uploads, objects: FileObjects, seed: str) -> tuple[bytes, str]:
    """Send a file of which all arrives, and which the store fails to put together."""
    data, digest = content(seed)
    first, rest = Slice(0, PART, len(data)), Slice(PART, len(data) - PART, len(data))
    await uploads.take_slice("key", chunks(data[:PART]), first, digest=digest)
    objects.failing["complete"] = [AWAY]
    with pytest.raises(Unavailable):
        await uploads.take_slice("key", chunks(data[PART:]), rest, digest=digest)
    return data, digest


async def go_on(uploads: Uploads, data: bytes, digest: str) -> bool | None:
    end = Slice(len(data), 0, len(data))
    return await uploads.take_slice("key", chunks(b""), end, digest=digest)


@SENDS
@pytest.mark.parametrize("fails", ["complete", "the answer of complete"])
def test_a_file_that_the_store_failed_to_put_together_is_not_sent_again(
    world: Any, tmp_path: Path, send: Callable[..., None], fails: str
) -> None:
    data, digest = content(f"{send.__name__} {fails}")
    world.objects.calls.clear()
    world.objects.failing[fails] = [AWAY, AWAY]

    send(world, data, digest, tmp_path)

    blob = world.client.get(f"{API}/blobs/sha256:{digest}", headers=bearer(SCIENTIST))
    assert blob.content == data
    assert world.objects.calls.count("begin") == 1
    assert world.objects.calls.count("part") == 3
    assert not world.objects.uploads


@SENDS
def test_a_file_whose_parts_the_store_has_lost_is_sent_anew(
    world: Any, tmp_path: Path, send: Callable[..., None]
) -> None:
    data, digest = content(f"{send.__name__} lost")
    world.objects.calls.clear()
    world.objects.failing["part"] = [None, Lost("NoSuchUpload")]
    world.objects.failing["complete"] = [Lost("InvalidPart")]

    send(world, data, digest, tmp_path)

    assert world.objects.calls.count("begin") == 3
    assert world.objects.calls.count("part") == 2 + 3 + 3
    assert not world.objects.uploads


async def test_the_second_completion_answers_as_the_first(
    uploads: Uploads, objects: FileObjects
) -> None:
    objects.failing["the answer of complete"] = [AWAY]
    data, digest = content("repeated")

    with pytest.raises(Unavailable):
        await uploads.take("key", chunks(data), len(data), digest=digest)

    assert uploads.offset("key") == len(data)
    assert await go_on(uploads, data, digest) is True
    assert not uploads.left()


async def test_a_kill_before_a_file_is_put_together_costs_nothing(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = await all_but_together(uploads, objects, "killed at the end")

    again = Uploads(objects, uploads.notes, 1 << 40)
    again.sweep(again.left())

    assert again.offset("key") == len(data)
    assert await go_on(again, data, digest)
    assert b"".join(objects.read("key")) == data
    assert objects.calls.count("part") == 3
    assert not list(uploads.notes.iterdir())


async def test_a_note_that_was_cut_off_takes_the_one_before_it_along_with_nothing(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = content("cut off note", PART)
    await uploads.take_slice("key", chunks(data), Slice(0, PART, 2 * PART), digest=digest)
    note = next(uploads.notes.glob("*.json"))
    note.with_suffix(".new").write_text('{"key": "key", "i')

    again = Uploads(objects, uploads.notes, 1 << 40)
    again.sweep(again.left())

    assert not objects.uploads
    assert not list(uploads.notes.iterdir())


async def test_a_sender_that_is_gone_while_it_is_put_together_finds_it_all_here(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, digest = await all_but_together(uploads, objects, "gone")
    going, late = asyncio.Event(), asyncio.Event()

    async def slow(work: Callable[..., Any], *args: Any) -> Any:
        going.set()
        await late.wait()
        return work(*args)

    monkeypatch.setattr(module, "in_a_thread", slow)
    gone = asyncio.ensure_future(go_on(uploads, data, digest))
    await going.wait()

    assert uploads.offset("key") == len(data)
    with pytest.raises(Conflict):
        await go_on(uploads, data, digest)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    late.set()
    assert uploads.offset("key") == len(data)
    assert await go_on(uploads, data, digest)
    assert "abort" not in objects.calls


async def test_a_file_that_is_sent_anew_beside_one_that_is_kept_leaves_one(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, digest = await all_but_together(uploads, objects, "beside")
    objects.failing["complete"] = [AWAY]

    with pytest.raises(Unavailable):
        await uploads.take("key", chunks(data), len(data), digest=digest)

    assert len(objects.uploads) == 1
    assert await go_on(uploads, data, digest)


async def test_an_artifact_waits_for_a_store_that_is_away_at_its_end(
    uploads: Uploads, objects: FileObjects
) -> None:
    data, _ = content("artifact")
    objects.failing["complete"] = [AWAY, AWAY]
    objects.failing["the answer of complete"] = [AWAY]

    assert await uploads.take("key", chunks(data), len(data))

    assert b"".join(objects.read("key")) == data
    assert objects.calls.count("part") == 3


async def test_an_artifact_is_given_up_in_time_for_who_waits_for_the_answer(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = content("given up")
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    objects.failing["complete"] = [AWAY, AWAY]

    with pytest.raises(Unavailable):
        await uploads.take("key", chunks(data), len(data))

    assert objects.calls.count("complete") == 1
    assert not objects.uploads
    assert not list(uploads.notes.iterdir())


def test_there_is_nothing_to_put_together_of_what_is_not_here(world: Any) -> None:
    path = f"{API}/blobs/sha256:{'3' * 64}"
    end = bearer(SCIENTIST, **{"Content-Range": "bytes */20"})

    assert world.client.put(path, content=b"", headers=end).status_code == 409
    assert world.client.put(path, content=b"12345", headers=end).status_code == 400


@pytest.mark.parametrize("total", [1, 20 << 30, 100 << 30, 700 << 30, 1 << 40, 5 << 40])
def test_a_slice_is_some_whole_parts_so_that_every_file_moves(
    monkeypatch: pytest.MonkeyPatch, total: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", 64 << 20)

    assert slice_size(total) % part_size(total) == 0
    assert slice_size(total) >= PART
