"""Which paths are plain: one table for every part that takes a path from somebody else."""

from pathlib import Path

import pytest
from trainyard_api.paths import LONGEST, BadPath, inside, is_plain, normal, segments

PLAIN = [
    "a",
    "MLmodel",
    "data/model.pkl",
    "two words/in ner.txt",
    "100%.txt",
    "x%20y",
    "a#b",
    "a?b=c&d",
    "a\\b",
    "größe 精度.txt",
    "in ner/a;b'c.txt",
    "...",
    "..a/b..",
    ".hidden",
    "-rf",
    "C:/x",
    "a" * LONGEST,
]
# Each with what it means once written plainly; None where nothing makes it plain.
BAD = [
    ("", ""),
    (".", ""),
    ("./a", "a"),
    ("a/.", "a"),
    ("a/./b", "a/b"),
    ("a//b", "a/b"),
    ("a/", "a"),
    ("a/b/../c", "a/c"),
    ("a/..", ""),
    ("..", None),
    ("../a", None),
    ("a/../../b", None),
    ("a/../..", None),
    ("/a", None),
    ("//a", None),
    ("/", None),
    ("a\0b", None),
    ("a\nb", None),
    ("a\x7f", None),
    ("\x1b[2J", None),
    ("a\ud800", None),
    ("a" * (LONGEST + 1), None),
    ("ü" * (LONGEST // 2 + 1), None),
]


@pytest.mark.parametrize("path", PLAIN)
def test_a_plain_path_is_taken_as_it_is(path):
    assert is_plain(path)
    assert normal(path) == path
    assert inside(Path("/in"), path).as_posix() == f"/in/{path}"


@pytest.mark.parametrize(("path", "meaning"), BAD)
def test_any_other_path_is_refused(path, meaning):
    assert not is_plain(path)
    with pytest.raises(BadPath):
        segments(path)
    with pytest.raises(BadPath):
        inside(Path("/in"), path)


@pytest.mark.parametrize(("path", "meaning"), [one for one in BAD if one[1] is not None])
def test_what_has_a_plain_form_is_written_in_it(path, meaning):
    assert normal(path) == meaning


@pytest.mark.parametrize("path", [path for path, meaning in BAD if meaning is None])
def test_what_climbs_out_has_no_plain_form(path):
    with pytest.raises(BadPath):
        normal(path)
