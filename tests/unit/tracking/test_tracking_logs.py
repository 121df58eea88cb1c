"""Logs in the spool, whoever else is at them in the same moment, and whatever a crash has left."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders.tracking import FileObjects
from trainyard_tracking import logs as module
from trainyard_tracking.logs import LogRef, Logs, LogState, WrongOffset

REF = LogRef("team", "a" * 32, 1, "artifacts")
TWO = LogRef("team", "a" * 32, 2, "artifacts")


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "spool", FileObjects(tmp_path / "bucket"))


def files(logs: Logs) -> list[str]:
    return sorted(path.name for path in logs.spool.rglob("*") if path.is_file())


def place(logs: Logs, suffix: str) -> Path:
    return logs.spool / f"logs/team/{REF.run_id}/1.{suffix}"


def test_bytes_are_on_the_disk_before_they_are_noted_and_the_note_before_it_counts(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def synced(file: int) -> None:
        done.append(Path(f"/proc/self/fd/{file}").readlink().name)

    replace = Path.replace
    monkeypatch.setattr(os, "fdatasync", synced)
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (done.append(f"to {to.name}"), replace(self, to))
    )
    logs.append(REF, offset=0, place="here", data=b"one\n")

    assert done == ["1.log", "1.new", "to 1.json"]


def test_a_log_that_lost_bytes_which_were_noted_goes_on_where_it_ends_without_a_hole(
    logs: Logs,
) -> None:
    logs.append(REF, offset=0, place="here", data=b"one\ntwo\n")
    os.truncate(place(logs, "log"), 4)

    assert logs.state(REF) == LogState(4)
    with pytest.raises(WrongOffset):
        logs.append(REF, offset=8, place="there", data=b"three\n")
    logs.append(REF, offset=4, place="there", data=b"three\n")
    assert b"".join(logs.read(REF)) == b"one\nthree\n"


def test_a_note_that_a_crash_left_empty_begins_the_log_anew(logs: Logs) -> None:
    logs.append(REF, offset=0, place="here", data=b"one\n")
    os.truncate(place(logs, "json"), 0)

    assert logs.state(REF) == LogState(0)
    assert logs.append(REF, offset=0, place="", data=b"1\n").offset == 2


def test_a_log_that_is_archived_while_it_is_read_is_read_to_its_end(logs: Logs) -> None:
    logs.append(REF, offset=0, place="", data=b"one\n")
    chunks = logs.read(REF)
    logs.archive(REF)

    assert b"".join(chunks) == b"one\n"


@pytest.mark.parametrize("gone", ["json", "log"])
def test_a_log_that_is_archived_between_two_looks_is_read_from_the_archive(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    logs.append(REF, offset=0, place="", data=b"one\n")
    before = _first_call(monkeypatch, Path, "read_bytes" if gone == "json" else "open")
    before.append(lambda: logs.archive(REF))

    assert b"".join(logs.read(REF)) == b"one\n"


def test_a_log_may_be_begun_while_the_folder_is_tidied_away(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _first_call(monkeypatch, module.os, "open")
    before.append(place(logs, "log").parent.rmdir)

    assert logs.append(REF, offset=0, place="", data=b"one\n").offset == 4


def test_two_who_end_a_run_at_once_both_find_all_of_it(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in (REF, TWO):
        logs.append(ref, offset=0, place="", data=b"one\n")
    # However a folder is listed.
    before = _first_call(monkeypatch, os, "listdir", "scandir")
    before.append(lambda: logs.archive_all("team", REF.run_id, "artifacts"))

    logs.archive_all("team", REF.run_id, "artifacts", named={(1, 0): None})

    assert b"".join(logs.read(REF)) + b"".join(logs.read(TWO)) == b"one\none\n"
    assert not files(logs)


def test_what_a_crash_left_of_an_archived_log_goes_with_the_next_end(logs: Logs) -> None:
    logs.append(REF, offset=0, place="", data=b"one\n")
    logs.archive(REF)
    place(logs, "log").write_bytes(b"one\n")
    place(logs, "new").write_bytes(b"{")

    logs.archive_all("team", REF.run_id, "artifacts")

    assert not list(logs.spool.glob("logs/team/*"))
    assert b"".join(logs.read(REF)) == b"one\n"


def _first_call(
    monkeypatch: pytest.MonkeyPatch, owner: Any, *names: str
) -> list[Callable[[], object]]:
    """Have something happen right before one of these functions is called for the first time."""
    before: list[Callable[[], object]] = []

    def calling(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **more: Any) -> Any:
            while before:
                before.pop()()
            return real(*args, **more)

        return called

    for name in names:
        monkeypatch.setattr(owner, name, calling(getattr(owner, name)))
    return before
