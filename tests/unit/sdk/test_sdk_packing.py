"""Packing: the same bytes for the same files, and only what git would keep."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from trainyard._progress import human_size
from trainyard.errors import InvalidInput
from trainyard.packing import pack, remarks


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def digest(folder: Path) -> str:
    archive = pack(folder)
    archive.content.close()
    return archive.digest


def names(folder: Path) -> list[str]:
    archive = pack(folder)
    with archive.content, tarfile.open(fileobj=archive.content) as tar:
        return tar.getnames()


def test_the_digest_does_not_depend_on_times_or_order(tmp_path: Path) -> None:
    files = {"b.py": "b", "a.py": "a", "lib/c.py": "c"}
    one = write(tmp_path / "one", files)
    two = write(tmp_path / "two", dict(reversed(files.items())))
    os.utime(two / "a.py", (0, 0))

    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"a.py": "other"}, id="another content"),
        pytest.param({"b.py": "a"}, id="another file"),
    ],
)
def test_the_digest_changes_with_the_files(tmp_path: Path, change: dict[str, str]) -> None:
    before = digest(write(tmp_path, {"a.py": "a"}))

    assert digest(write(tmp_path, change)) != before


def test_entries_have_no_owner_and_no_time(tmp_path: Path) -> None:
    archive = pack(write(tmp_path, {"run.sh": "x"}))
    with archive.content:
        data = archive.content.read()

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        entry = tar.getmembers()[0]
    assert (entry.uid, entry.gid, entry.uname, entry.mtime) == (0, 0, "", 0)
    assert data[4:8] == b"\0\0\0\0"
    assert gzip.decompress(data)


def test_the_executable_bit_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"run.sh": "x"})
    (tmp_path / "run.sh").chmod(0o700)
    archive = pack(tmp_path)

    with archive.content, tarfile.open(fileobj=archive.content) as tar:
        assert tar.getmember("run.sh").mode == (0o644 if os.name == "nt" else 0o755)


IGNORING = [
    pytest.param({".gitignore": "*.csv", "a.py": "", "x/d.csv": ""}, ["a.py"], id="at any depth"),
    pytest.param(
        {".gitignore": "/data", "data/a": "", "src/data/b": ""}, ["src/data/b"], id="anchored"
    ),
    pytest.param(
        {".gitignore": "*.log\n!keep.log", "a.log": "", "keep.log": ""}, ["keep.log"], id="negated"
    ),
    pytest.param(
        {".gitignore": "*.csv", "in/.gitignore": "!*.csv", "a.csv": "", "in/b.csv": ""},
        ["in/.gitignore", "in/b.csv"],
        id="a nested file has the last word",
    ),
    pytest.param(
        {"in/.gitignore": "x.py", "x.py": "", "in/x.py": ""},
        ["in/.gitignore", "x.py"],
        id="a nested file speaks of its own folder only",
    ),
    pytest.param(
        {".gitignore": "out/\n!out/a", "out/a": "", "b": ""},
        ["b"],
        id="nothing comes back from an ignored folder",
    ),
    pytest.param(
        {".git/config": "", "__pycache__/a.pyc": "", "mlruns/0": "", "mlflow.db": "", "a": ""},
        ["a"],
        id="git's own folder, caches and local results stay behind",
    ),
    pytest.param(
        {"venv/pyvenv.cfg": "", "venv/bin/python": "", "a": ""}, ["a"], id="virtual environments"
    ),
]


@pytest.mark.parametrize(("files", "kept"), IGNORING)
def test_gitignore_is_honoured(tmp_path: Path, files: dict[str, str], kept: list[str]) -> None:
    found = names(write(tmp_path, files))

    assert [name for name in found if name != ".gitignore"] == kept


def test_what_gitignore_leaves_behind_is_named_and_clutter_is_not(tmp_path: Path) -> None:
    files = {
        ".gitignore": "data/\n*.pt\n",
        "data/a": "",
        "in/w.pt": "",
        "__pycache__/x": "",
        "a": "",
    }
    archive = pack(write(tmp_path, files))
    archive.content.close()

    assert archive.ignored == ("data/", "in/w.pt")


def test_rules_above_the_folder_count_up_to_the_repository(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.py", "repo/.gitignore": "*.csv", "repo/.git/HEAD": ""})
    write(tmp_path, {"repo/job/a.csv": "", "repo/job/a.py": ""})

    assert names(tmp_path / "repo" / "job") == ["a.py"]


def test_links_are_packed_as_files_unless_they_lead_outside(tmp_path: Path) -> None:
    folder = write(tmp_path / "job", {"a.py": "code"})
    write(tmp_path, {"secret": "x"})
    try:
        (folder / "same.py").symlink_to(folder / "a.py")
        (folder / "out").symlink_to(tmp_path / "secret")
    except OSError:
        return
    archive = pack(folder)

    with archive.content, tarfile.open(fileobj=archive.content) as tar:
        assert tar.getnames() == ["a.py", "same.py"]
    assert list(archive.skipped) == ["out"]


def test_a_link_to_a_folder_inside_is_packed_and_a_circle_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "job", {"real/a.txt": "a"})
    (folder / "alias").symlink_to("real")
    (folder / "real" / "up").symlink_to("..")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    archive = pack(folder)

    with archive.content, tarfile.open(fileobj=archive.content) as tar:
        assert tar.getnames() == ["alias/a.txt", "real/a.txt"]
    assert list(archive.skipped) == ["alias/up", "one", "real/up", "two"]
    assert set(archive.skipped.values()) == {"a link in a circle"}


@pytest.mark.parametrize(
    ("include", "kept", "ignored"),
    [
        ([], ["a.py", "keep.pkl"], ("data/", "vocab.pkl")),
        (["data/"], ["a.py", "data/big.bin", "data/in/x.csv", "keep.pkl"], ("vocab.pkl",)),
        (
            ["data/in/"],
            ["a.py", "data/in/x.csv", "keep.pkl"],
            ("data/big.bin", "vocab.pkl"),
        ),
        (["*.pkl"], ["a.py", "keep.pkl", "vocab.pkl"], ("data/",)),
        (["*"], ["a.py", "data/big.bin", "data/in/x.csv", "keep.pkl", "vocab.pkl"], ()),
    ],
)
def test_what_is_included_travels_though_gitignore_names_it(
    tmp_path: Path, include: list[str], kept: list[str], ignored: tuple[str, ...]
) -> None:
    files = dict.fromkeys(["a.py", "keep.pkl", "vocab.pkl", "data/big.bin", "data/in/x.csv"], "x")
    rules = {".gitignore": "*.pkl\n!keep.pkl\ndata/\n"}
    archive = pack(write(tmp_path, {**files, **rules}), include=include)

    with archive.content, tarfile.open(fileobj=archive.content) as tar:
        assert [name for name in tar.getnames() if name != ".gitignore"] == kept
    assert archive.ignored == ignored


def test_a_pattern_that_includes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'dta/' matches no file"):
        pack(write(tmp_path, {"a.py": "", "data/x": ""}), include=["dta/"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda file: file.write_bytes(b"x"), "a.bin changed while", id="shorter"),
        pytest.param(lambda file: file.unlink(), "Cannot read .*a.bin", id="gone"),
    ],
)
def test_a_file_that_changes_while_it_is_packed_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], said: str
) -> None:
    folder = write(tmp_path, {"a.bin": "x" * 1000})
    real = tarfile.TarFile.addfile

    def change_first(tar: tarfile.TarFile, entry: tarfile.TarInfo, data: IO[bytes]) -> None:
        change(folder / "a.bin")
        with (folder / "a.bin").open("rb") as fresh:
            real(tar, entry, fresh)

    monkeypatch.setattr(tarfile.TarFile, "addfile", change_first)
    with pytest.raises(InvalidInput, match=said):
        pack(folder)


def test_what_stays_behind_is_said_with_why_and_with_the_way_to_take_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "job", {"a.py": "", "vocab.pkl": "", ".gitignore": "*.pkl"})
    (folder / "outside").symlink_to("..")
    (folder / "dead").symlink_to("nothing")
    (folder / "lib").symlink_to(write(tmp_path / "lib", {"x.py": ""}))
    archive = pack(folder)
    archive.content.close()

    outside = "a link that leads outside the folder: copy what it leads to"
    links = f"dead (a link that leads nowhere), lib ({outside}), outside ({outside})"
    assert remarks(archive) == [
        f"Left out: {links}",
        "Left out, as .gitignore says: vocab.pkl. To take it along: --include 'vocab.pkl'",
    ]


def test_too_much_is_refused_with_the_largest_files(tmp_path: Path) -> None:
    write(tmp_path, {"data.bin": "x" * 5000, "a.py": "x"})

    with pytest.raises(InvalidInput, match=r"data\.bin") as error:
        pack(tmp_path, limit=1000)
    assert ".gitignore" in error.value.fix


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_files_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(InvalidInput):
        pack(tmp_path / folder)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (5 * 1024**2, "5.0 MiB"), (2**31, "2.0 GiB")]
)
def test_sizes_are_written_for_people(count: int, text: str) -> None:
    assert human_size(count) == text
