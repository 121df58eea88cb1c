"""What the service relies on, asked of real S3 servers; minio-py looks at what was written."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from minio import Minio
from object_stores import ACCESS, SECRET, Store, settings
from trainyard_api.slices import PART
from trainyard_tracking.artifacts import ObjectsRepository
from trainyard_tracking.errors import BadSettings, Lost, Unavailable, Unprocessable
from trainyard_tracking.objects import Entry
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.uploads import Slice, Uploads


def witness(store: Store) -> Minio:
    """Another client, which shares no code with ours."""
    return Minio(
        store.endpoint.partition("://")[2], access_key=ACCESS, secret_key=SECRET, secure=False
    )


def body(data: bytes) -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(data), 1 << 16):
            yield data[begin : begin + (1 << 16)]

    return chunks()


def big(seed: int, size: int = 2 * PART + 5) -> tuple[bytes, str]:
    data = bytes([seed]) * size
    return data, hashlib.sha256(data).hexdigest()


@pytest.fixture
def uploads(objects: S3Objects, tmp_path: Path) -> Uploads:
    return Uploads(objects, tmp_path / "uploads", 1 << 40)


def test_what_is_not_there_is_none(objects):
    objects.write("some/folder/file", b"x", new=False)

    for key in ("nothing", "some/folder", "some/folder/file/below"):
        assert objects.stat(key) is None
        assert objects.open(key) is None


def test_an_object_is_written_over_unless_it_is_to_be_new(objects, store):
    assert objects.write("once", b"first", new=True)
    assert not objects.write("once", b"second", new=True)
    assert witness(store).get_object("yard", "once").data == b"first"
    assert objects.write("once", b"third", new=False)
    assert witness(store).get_object("yard", "once").data == b"third"


async def test_a_file_in_parts_has_the_bytes_that_were_sent(uploads, store):
    data, digest = big(1)

    assert await uploads.take("parts", body(data), len(data), digest=digest)
    assert witness(store).get_object("yard", "parts").data == data
    assert not list(uploads.notes.iterdir())


async def test_a_file_of_unknown_size_is_taken(uploads, store):
    data, _ = big(2)

    assert await uploads.take("unknown", body(data), None)
    assert await uploads.take("empty", body(b""), None)
    assert witness(store).get_object("yard", "unknown").data == data
    assert witness(store).stat_object("yard", "empty").size == 0


async def test_parts_with_another_digest_never_become_an_object(uploads, objects):
    data, _ = big(3)

    with pytest.raises(Unprocessable):
        await uploads.take("wrong", body(data), len(data), digest="0" * 64)
    assert objects.stat("wrong") is None
    assert not list(uploads.notes.iterdir())


async def test_of_two_uploads_of_the_same_content_the_second_finds_it_there(uploads):
    data, digest = big(4)

    assert await uploads.take("twice", body(data), len(data), digest=digest)
    again = await uploads.take("twice", body(data), len(data), digest=digest)
    assert not again


async def test_slices_of_several_requests_become_one_object(uploads, store):
    data, digest = big(5)
    first, rest = data[:PART], data[PART:]

    more = await uploads.take_slice("sliced", body(first), Slice(0, PART, len(data)), digest=digest)
    assert more is None
    assert uploads.offset("sliced") == PART
    whole = Slice(PART, len(rest), len(data))
    assert await uploads.take_slice("sliced", body(rest), whole, digest=digest)
    assert witness(store).get_object("yard", "sliced").data == data


def test_what_a_kill_left_behind_is_aborted_at_the_next_start(objects, tmp_path):
    uploads = Uploads(objects, tmp_path / "uploads", 1 << 40)
    killed = uploads._begin("killed", 3 * PART, "somebody")
    uploads._send_part(killed, b"x" * PART)

    begun = Uploads(objects, tmp_path / "uploads", 1 << 40)
    begun.sweep(begun.left())

    assert not list(uploads.notes.iterdir())
    with pytest.raises(Unavailable, match="NoSuchUpload"):
        uploads._send_part(killed, b"x" * PART)


@pytest.mark.parametrize("new", [True, False])
async def test_an_upload_that_is_completed_twice_is_no_failure(objects, uploads, store, new):
    data, _ = big(6 + new)
    under = uploads._begin(f"twice-{new}", len(data), "somebody")
    await uploads._send(under, body(data), len(data), is_last=True)

    assert objects.complete(under.key, under.id, under.tags, new=new)
    # Some stores say of what is new that it is there, which it is.
    assert objects.complete(under.key, under.id, under.tags, new=new) or new
    assert witness(store).get_object("yard", under.key).data == data


@pytest.mark.parametrize("new", [True, False])
async def test_an_upload_whose_parts_are_gone_is_lost(objects, uploads, new):
    under = uploads._begin(f"gone-{new}", 2 * PART, "somebody")
    await uploads._send(under, body(bytes(PART)), PART, is_last=False)
    objects.abort(under.key, under.id)

    with pytest.raises(Lost):
        objects.complete(under.key, under.id, under.tags, new=new)
    with pytest.raises(Lost):
        uploads._send_part(under, bytes(PART))


async def test_a_killed_service_puts_together_what_was_all_here(
    objects, uploads, store, monkeypatch
):
    data, digest = big(8)
    away = Unavailable("away")

    def failing(*_, **__):
        raise away

    with monkeypatch.context() as patched:
        patched.setattr(S3Objects, "complete", failing)
        with pytest.raises(Unavailable):
            await uploads.take("late", body(data), len(data), digest=digest)

    begun = Uploads(objects, uploads.notes, 1 << 40)
    begun.sweep(begun.left())
    end = Slice(len(data), 0, len(data))

    assert begun.offset("late") == len(data)
    assert await begun.take_slice("late", body(b""), end, digest=digest)
    assert witness(store).get_object("yard", "late").data == data
    assert not list(uploads.notes.iterdir())


def test_a_part_of_an_object_is_read(objects):
    objects.write("range", b"0123456789", new=False)

    assert b"".join(objects.read("range", 3)) == b"3456789"
    assert b"".join(objects.read("range", 3, 4)) == b"3456"
    assert b"".join(objects.read("range", 9, 1)) == b"9"
    assert b"".join(objects.read("range", 0, 0)) == b""
    opened = objects.open("range")
    assert (opened.stat.size, b"".join(opened.chunks)) == (10, b"0123456789")


def test_folders_are_listed_and_deleted(objects, tmp_path):
    (tmp_path / "file").write_bytes(b"four")
    for name in ("a", "b/c", "b/d/e"):
        objects.put(f"tree/{name}", tmp_path / "file")

    assert sorted(e.path for e in objects.under("tree/")) == ["a", "b/c", "b/d/e"]
    assert objects.folders("tree/") == ([Entry("a", 4)], ["b"])
    objects.delete(["tree/a", "tree/b/c", "tree/b/d/e", "tree/never"])
    assert objects.under("tree/") == []


def test_mlflow_lists_and_deletes_a_folder_and_not_its_neighbours(objects):
    files = ObjectsRepository(objects, "trainyard-objects:/mlflow")
    for name in ("run/gone/a", "run/gone/b/c", "run/gone-not", "run/gone.txt"):
        objects.write(f"mlflow/{name}", b"x", new=False)

    listed = [(one.path, one.is_dir, one.file_size) for one in files.list_artifacts("./run")]
    files.delete_artifacts("run/gone")

    assert listed == [
        ("run/gone", True, None),
        ("run/gone-not", False, 1),
        ("run/gone.txt", False, 1),
    ]
    assert sorted(e.path for e in objects.under("mlflow/run/")) == ["gone-not", "gone.txt"]
    assert files.list_artifacts("run/gone.txt") == []


def test_wrong_keys_are_said_as_such(store):
    wrong = S3Objects(settings(store, secret_key="wrong"))

    with pytest.raises(BadSettings, match="check its keys"):
        wrong.ensure_bucket()
