"""Places for files on their way in: shared, and never all one's own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from builders.tracking import FileObjects
from builders.uploads import chunks, content
from trainyard_api.slices import PART
from trainyard_tracking import incoming
from trainyard_tracking import uploads as module
from trainyard_tracking.errors import Busy, Unavailable
from trainyard_tracking.uploads import Slice, Uploads


async def test_a_file_with_larger_parts_takes_the_room_of_several(uploads: Uploads) -> None:
    large = uploads.large._taken
    async with uploads._room("one", 5 * PART * 10_000) as grow, uploads._room("two", None) as other:
        assert large.borrowed_tokens == 2
        await grow()
        await grow()
        await other()
        assert large.borrowed_tokens == 6
        assert uploads._share("one", uploads.large).lane._taken.borrowed_tokens == 5
    async with uploads._room("one", 1 << 50) as grow:
        await grow()
        assert large.available_tokens == uploads.large.places // 4
    assert large.borrowed_tokens == 0


async def test_what_a_file_says_of_its_size_takes_no_room(
    uploads: Uploads, objects: FileObjects
) -> None:
    """Four connections of a byte each, of files of a TiB, leave others their places."""
    going = [asyncio.Event() for _ in range(4)]

    async def stalled(begun: asyncio.Event) -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.Event().wait()

    held = [
        asyncio.ensure_future(uploads.take(f"huge-{n}", stalled(begun), 1 << 40, owner="greedy"))
        for n, begun in enumerate(going)
    ]
    for begun in going:
        await begun.wait()

    assert uploads.large._taken.borrowed_tokens == 4
    data = b"y" * (2 * PART)
    assert await uploads.take("another", chunks(data), len(data), owner="modest")
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_huge_files_of_one_namespace_leave_a_place_to_another(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.01)
    async with (
        uploads._room("greedy", 1 << 40) as first,
        uploads._room("greedy", 1 << 40) as second,
    ):
        with pytest.raises(Busy, match="no room for so large a file"):
            await second()
        with pytest.raises(Busy):
            await first()
        async with uploads._room("modest", 4 * PART * 10_000) as grow:
            await grow()


async def test_room_is_taken_when_a_file_has_sent_as_much_as_a_place_is_for(
    uploads: Uploads, objects: FileObjects
) -> None:
    total, most = 2 * PART * 10_000, 0

    async def watched() -> AsyncIterator[bytes]:
        nonlocal most
        async for chunk in chunks(bytes(PART + 1)):
            yield chunk
            most = max(most, uploads.large._taken.borrowed_tokens)

    with pytest.raises(Unavailable, match="ended after"):
        await uploads.take("key", watched(), total)

    assert most == 2


@pytest.mark.parametrize(("seconds", "is_slow"), [(1.0, True), (0.01, False)])
async def test_a_part_that_trickles_is_given_up(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, seconds: float, is_slow: bool
) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    monkeypatch.setattr(incoming.time, "monotonic", clock)

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(1000)

    sent = uploads.take("key", trickle(), 200_000)
    if is_slow:
        with pytest.raises(Unavailable, match="too slowly"):
            await sent
    else:
        assert await sent


async def test_one_owner_does_not_push_out_what_is_kept_of_another(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OF_ONE", 2)
    monkeypatch.setattr(module, "_MOST_KEPT", 3)
    data, digest = content("kept", PART)
    some = Slice(0, PART, 2 * PART)

    async def take(key: str, owner: str) -> None:
        await uploads.take_slice(key, chunks(data), some, digest=digest, owner=owner)

    await take("mine", "modest")
    for number in range(5):
        await take(f"theirs-{number}", "greedy")

    assert uploads.offset("mine") == PART
    assert uploads.offset("theirs-4") == PART
    assert [uploads.offset(f"theirs-{number}") for number in range(2)] == [0, 0]


async def test_files_that_came_whole_and_are_kept_have_the_same_bound(
    uploads: Uploads, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OF_ONE", 2)
    data, digest = content("whole", 2 * PART)
    for number in range(4):
        objects.failing["complete"] = [Unavailable("S3 is away")]
        with pytest.raises(Unavailable):
            await uploads.take(
                f"key-{number}", chunks(data), len(data), digest=digest, owner="greedy"
            )

    assert [bool(uploads.offset(f"key-{number}")) for number in range(4)] == [
        False,
        False,
        True,
        True,
    ]


async def test_a_slice_that_completes_no_part_is_not_kept(
    uploads: Uploads, objects: FileObjects
) -> None:
    told = await uploads.take_slice("key", chunks(b"x"), Slice(0, 1, 2 * PART), digest="0" * 64)

    assert told is None
    assert not objects.uploads
    assert not list(uploads.notes.glob("*"))


@pytest.mark.parametrize("size", [5, 2 * PART])
async def test_one_namespace_never_holds_all_places(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.01)
    going: list[asyncio.Event] = []

    def slow() -> AsyncIterator[bytes]:
        begun = asyncio.Event()
        going.append(begun)

        async def chunks() -> AsyncIterator[bytes]:
            begun.set()
            await asyncio.Event().wait()
            yield b""

        return chunks()

    most = (uploads.small if size == 5 else uploads.large).places * 3 // 4
    held = [
        asyncio.ensure_future(uploads.take(f"greedy-{n}", slow(), size, owner="greedy"))
        for n in range(most)
    ]
    for begun in going:
        await begun.wait()

    with pytest.raises(Busy):
        await uploads.take("one-more", chunks(b"x" * size), size, owner="greedy")
    assert await uploads.take("another", chunks(b"x" * size), size, owner="modest")
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)
