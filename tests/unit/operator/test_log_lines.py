"""A stamped stream becomes what a program printed: whole, once, gaps said."""

import pytest
from trainyard_operator.logs.lines import DROPPED, Lines, last_stamp, seconds_between

NOON = 1795521600.0  # 2026-11-24T12:00:00Z
FIRST = "2026-11-24T12:00:00.5Z"


def stamped(*lines: str, begin: int = 0, step: int = 1, end: str = "\n") -> bytes:
    text = "\n".join(
        f"2026-11-24T12:{second // 60:02d}:{second % 60:02d}.5Z {line}"
        for second, line in zip(range(begin, 3600, step), lines, strict=False)
    )
    return (text + end).encode()


def fed(lines: Lines, *pieces: bytes, now: float = NOON) -> bytes:
    return b"".join(lines.feed(piece, now) for piece in pieces)


@pytest.mark.parametrize("size", [1, 7, 31, 64, 1000])
def test_pieces_may_break_lines_and_stamps_anywhere(size: int) -> None:
    stream = stamped("one", "", "2026-11-24T11:00:00Z three", end="") + b"\n" + stamped("x", end="")
    lines = Lines()
    pieces = [stream[n : n + size] for n in range(0, len(stream), size)]

    assert fed(lines, *pieces) == b"one\n\n2026-11-24T11:00:00Z three\nx"
    assert lines.place == f"{FIRST}@1"


@pytest.mark.parametrize("size", [1, 7, 31, 64, 1000])
def test_wherever_a_stream_is_left_another_one_goes_on(size: int) -> None:
    stream = stamped("one", "two", "three is longer", "four", end="")
    whole = fed(Lines(), stream)
    for left in range(len(stream) + 1):
        first = Lines()
        begun = fed(first, stream[:left])
        again = Lines(first.place)
        rest = fed(again, *(stream[n : n + size] for n in range(0, len(stream), size)))

        assert begun + rest == whole, f"left at byte {left}, {first.place!r}"
        assert again.place == "2026-11-24T12:00:03.5Z@4"


def test_an_endless_line_comes_as_it_is_printed() -> None:
    lines = Lines()

    assert fed(lines, stamped("a" * 100, end="")) == b"a" * 100
    assert fed(lines, b"b" * 100) == b"b" * 100
    assert lines.place == f"{FIRST}@200"


@pytest.mark.parametrize(
    ("place", "left"),
    [
        ("2026-11-24T11:59:59Z", b"a\nb\nc\n"),
        ("2026-11-24T12:00:00.5Z", b"b\nc\n"),
        ("2026-11-24T12:00:00.5Z@1", b"\nb\nc\n"),
        ("2026-11-24T12:00:01.45Z", b"b\nc\n"),
        ("2026-11-24T12:00:02.5Z", b""),
    ],
)
def test_what_is_known_is_passed_over(place: str, left: bytes) -> None:
    assert fed(Lines(place), stamped("a", "b", "c")) == left


def test_reading_begins_at_a_whole_second() -> None:
    assert Lines("2026-11-24T12:00:01.999999999Z@7").since == "2026-11-24T12:00:01Z"
    assert Lines().since == ""


def test_what_a_node_says_without_a_stamp_passes() -> None:
    assert fed(Lines(), b"unable to retrieve the log") == b"unable to retrieve the log"


def test_what_the_node_dropped_before_we_came_back_is_said() -> None:
    later = stamped("c", begin=9)

    assert fed(Lines(FIRST), later) == DROPPED + b"c\n"
    assert fed(Lines(f"{FIRST}@1"), later) == b"\n" + DROPPED + b"c\n"
    assert fed(Lines(FIRST), stamped("b", begin=2)) == b"b\n"


HALF_A_MINUTE_BEHIND = NOON + 30


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_file_that_the_node_skipped_is_said_where_it_is_missing(pieces: int) -> None:
    stream = stamped("one", "two", begin=0) + stamped("three", "four", begin=12)
    size = len(stream) // pieces + 1
    parts = [stream[n : n + size] for n in range(0, len(stream), size)]

    given = fed(Lines(), *parts, now=HALF_A_MINUTE_BEHIND)

    assert given == b"one\ntwo\n" + DROPPED + b"three\nfour\n"


def test_a_program_that_pauses_drops_nothing() -> None:
    lines = Lines()

    said = lines.feed(stamped("one"), NOON + 1) + lines.feed(stamped("two", begin=60), NOON + 61)

    assert said == b"one\ntwo\n"


def test_a_slow_reader_of_a_steady_program_has_seen_all() -> None:
    given = fed(Lines(), stamped("a", "b", "c", step=8), now=NOON + 300)

    assert given == b"a\nb\nc\n"


def test_the_stamp_of_a_block_is_its_last_lines() -> None:
    assert last_stamp(stamped("one", "two")) == "2026-11-24T12:00:01.5Z"
    assert last_stamp(b"no stamp\n") == ""
    assert seconds_between("", FIRST) == 0
