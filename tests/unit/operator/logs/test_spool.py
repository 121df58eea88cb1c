"""Reading goes on while shipping waits; nothing is lost between them."""

import asyncio
import io
from typing import Any

import pytest
from builders.logs import Stream
from trainyard_operator.logs import limits, spool
from trainyard_operator.logs.limits import Room
from trainyard_operator.logs.lines import Lines
from trainyard_operator.logs.spool import Spool

STAMP = b"2026-11-24T12:00:00.5Z "


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BLOCK_BYTES", 10)
    monkeypatch.setattr(spool, "BLOCK_SECONDS", 0.01)
    monkeypatch.setattr(spool, "_LOOK_SECONDS", 0.0)


async def drained(spooled: Spool) -> bytes:
    taken = b""
    async with asyncio.timeout(5):
        await spooled.ready()
        while block := spooled.take():
            taken += block[0]
            await spooled.ready()
    return taken


async def test_a_stream_is_read_to_its_end_while_nobody_takes() -> None:
    room = Room(1000)
    stream, spooled = Stream(STAMP, *[b"0123456789"] * 50), Spool(room)

    await spooled.fill(stream, Lines())

    assert not stream.pieces
    assert room.left == 500
    assert await drained(spooled) == b"0123456789" * 50
    assert room.left == 1000


async def test_without_room_reading_waits_for_shipping() -> None:
    room = Room(45)
    stream, spooled = Stream(STAMP, *[b"0123456789"] * 50), Spool(room)
    reading = asyncio.create_task(spooled.fill(stream, Lines()))
    for _ in range(200):
        await asyncio.sleep(0)

    assert len(stream.pieces) == 47  # two are on disk, one in memory
    assert await drained(spooled) == b"0123456789" * 50
    assert room.left == 45
    await reading


async def test_a_chatty_log_leaves_room_for_others() -> None:
    room = Room(100)
    chatty, other = Spool(room), Spool(room)
    reading = [
        asyncio.create_task(each.fill(Stream(STAMP, *[b"0123456789"] * 50), Lines()))
        for each in (chatty, other)
    ]
    for _ in range(50):
        await asyncio.sleep(0)
    held = room.left
    assert 20 <= held < 40  # each has a third of it
    assert await drained(other) == b"0123456789" * 50  # while nobody takes from the chatty one
    assert await drained(chatty) == b"0123456789" * 50
    await asyncio.gather(*reading)


async def test_what_waits_in_memory_has_a_bound_however_much_is_printed() -> None:
    room = Room()
    spooled = Spool(room)
    await spooled.fill(Stream(STAMP, *[b"0123456789"] * 500), Lines())

    assert len(spooled._block) < 10 + 10
    assert room.left == limits.ROOM_BYTES - 5000
    spooled.close()


async def test_what_could_not_be_shipped_comes_again_as_it_was() -> None:
    room = Room(1000)
    spooled = Spool(room)
    await spooled._put(b"abc", "1")
    first = spooled.take()
    spooled.give_back()
    await spooled._put(b"0123456789", "2")

    assert spooled.take() == first == (b"abc", "1")
    spooled.give_back()
    assert spooled.take() == first
    assert spooled.take() == (b"0123456789", "2")
    spooled.close()
    assert room.left == 1000


async def test_what_came_before_a_break_is_taken_before_it_is_raised() -> None:
    spooled = Spool(Room())
    await spooled.fill(Stream(STAMP + b"one\n", ConnectionError("broken")), Lines())

    assert spooled.take() == (b"one\n", "2026-11-24T12:00:00.5Z")
    with pytest.raises(ConnectionError):
        spooled.take()


async def test_what_nobody_takes_gives_its_room_back() -> None:
    room = Room(100)
    spooled = Spool(room)
    await spooled.fill(Stream(STAMP, *[b"0123456789"] * 5), Lines())

    spooled.close()

    assert room.left == 100


@pytest.mark.parametrize(
    ("pieces", "room", "rest"),
    [
        ([b"1234\n"], 100, (b"1234\n", "2026-11-24T12:00:00.5Z")),
        ([], 100, None),
        ([b"12345678\n"], 100, None),  # on disk
        ([b"12345678\n"], 0, None),  # in memory, but much
        ([b"1234\n", OSError()], 100, None),
    ],
    ids=["little", "nothing", "much", "much without room", "broken off"],
)
async def test_what_is_little_at_the_end_may_be_kept_back(
    monkeypatch: pytest.MonkeyPatch,
    pieces: list[bytes | Exception],
    room: int,
    rest: tuple[bytes, str] | None,
) -> None:
    monkeypatch.setattr(spool, "REST_BYTES", 8)
    spooled = Spool(Room(room))
    await spooled.fill(Stream(STAMP, *pieces), Lines())

    kept = spooled.rest()
    spooled.close()

    assert kept == rest


async def test_what_is_still_read_is_not_kept_back() -> None:
    spooled = Spool(Room(100))
    await spooled._put(b"1234\n", "2026-11-24T12:00:00.5Z")

    assert spooled.rest() is None


class Disk(io.BytesIO):
    """A file on a disk that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, data: Any) -> int:
        written = super().write(data[: max(self._room, 0)])
        self._room -= written
        return written


@pytest.mark.parametrize("room", [0, 5, 10, 15, 25])
async def test_of_a_full_disk_what_was_read_is_shipped_once(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: Disk(room))
    left = Room(1000)
    spooled = Spool(left)
    await spooled.fill(Stream(STAMP, *[b"0123456789"] * 5), Lines())

    taken = [spooled.take() or (b"", "") for _ in range(2 if room >= 10 else 1)]
    with pytest.raises(OSError, match="No space left"):
        spooled.take()
    spooled.close()

    whole = b"".join(data for data, _ in taken)
    assert whole == b"0123456789" * (room // 10 + 1)
    # From where it ends the log is read again.
    assert taken[-1][1] == f"2026-11-24T12:00:00.5Z@{len(whole)}"
    assert left.left == 1000
