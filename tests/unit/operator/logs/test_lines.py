"""A stamped stream becomes what a program printed: whole, once, gaps said."""

import pytest
from builders.logs import stamped
from trainyard_operator.logs.lines import DROPPED, Lines, seconds_between

FIRST = "2026-11-24T12:00:00.5Z"


def fed(lines: Lines, *pieces: bytes) -> bytes:
    return b"".join(lines.feed(piece) for piece in pieces)


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
    assert fed(Lines(), stamped("one"), b"rpc error") == b"one\nrpc error"
    assert fed(Lines(), stamped("one") + b"rpc error") == b"one\nrpc error"


def test_what_the_node_dropped_before_we_came_back_is_said() -> None:
    later = stamped("c", begin=9)

    assert fed(Lines(FIRST), later) == DROPPED + b"c\n"
    assert fed(Lines(f"{FIRST}@1"), later) == b"\n" + DROPPED + b"c\n"
    assert fed(Lines(FIRST), stamped("b", begin=2)) == b"b\n"


def heavy(begin: float, seconds: float, size: int) -> bytes:
    """Return *size* bytes of lines, printed evenly, with their number as the text."""
    count = size // 100
    lines = []
    for n in range(count):
        moment = begin + n * seconds / count
        stamp = f"2026-11-24T12:{int(moment) // 60:02d}:{moment % 60:012.9f}Z"
        lines.append(f"{stamp} {n:068d}\n")
    return "".join(lines).encode()


FILE = 10 << 20


def test_a_file_that_the_node_skipped_is_said_where_it_is_missing() -> None:
    before, after = heavy(0, 10, FILE), heavy(20, 10, FILE)

    given = fed(Lines(), before, after)

    whole = fed(Lines(), before)
    assert given == whole + DROPPED + fed(Lines(), after)


def test_a_file_that_the_node_begins_anew_comes_once() -> None:
    first, second = heavy(0, 10, FILE), heavy(10, 10, 1 << 20)
    part, more = (second[: second.index(b"\n", size) + 1] for size in (200_000, 500_000))
    stream = first + part + more + second

    given = fed(Lines(), *(stream[n : n + 100_000] for n in range(0, len(stream), 100_000)))

    assert given == fed(Lines(), first) + fed(Lines(), second)


@pytest.mark.parametrize(
    ("size", "took", "pause"),
    [
        (1 << 20, 1, 60),  # little, however fast
        (FILE, 10, 4),  # too short for a file to come and go
        (FILE, 1000, 20),  # too slow to fill one in the pause
    ],
)
def test_a_program_that_pauses_drops_nothing(size: int, took: int, pause: int) -> None:
    given = fed(Lines(), heavy(0, took, size), heavy(took + pause, 1, 1000))

    assert DROPPED not in given


def test_a_clock_that_is_set_back_costs_no_line() -> None:
    stream = stamped("one", "two", begin=30) + stamped("three", "four", begin=10)

    assert fed(Lines(), stream) == b"one\ntwo\nthree\nfour\n"


def test_stamps_of_any_width_are_in_order() -> None:
    lines = b"".join(b"2026-11-24T12:00:10%sZ x\n" % f for f in (b"", b".25", b".255", b".3"))

    assert fed(Lines("2026-11-24T12:00:10.251Z"), lines) == b"x\n" * 2


def test_between_a_stamp_and_none_there_is_no_time() -> None:
    assert seconds_between("", FIRST) == 0
