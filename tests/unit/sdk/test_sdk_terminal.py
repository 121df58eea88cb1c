"""How tables look on narrow terminals, and how long work is told."""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from trainyard import _progress, packing
from trainyard._progress import Pace
from trainyard.cli import terminal
from trainyard.errors import InvalidInput
from trainyard.tables import Table, clipped

TITLES = ("NAME", "EXPERIMENT", "PHASE", "ATTEMPTS", "METRIC", "DURATION", "MODEL", "AGE")
ROW = ("digits-deep", "digits", "Succeeded", "1", "val_accuracy=0.9756", "41s", "digits-3", "2m")


class Terminal(io.StringIO):
    """A terminal as wide as COLUMNS says."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, columns: int, *rows: tuple[str, ...]) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    terminal.show_table(TITLES, rows)
    return re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())


def test_a_wide_terminal_shows_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 100, ROW).splitlines()

    assert [line.split()[-1] for line in lines] == ["AGE", "2m"]


def test_a_narrow_terminal_shows_a_line_for_each_cell_and_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = shown(monkeypatch, 40, ROW, ROW).splitlines()

    assert lines[0] == "NAME digits-deep"
    assert "  METRIC val_accuracy=0.9756" in lines
    assert len(lines) == 2 * len(ROW)


def test_what_is_copied_of_a_narrow_terminal_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = "http://digits.team.svc.cluster.local/invocations"

    assert f"  MODEL {endpoint}\n" in shown(monkeypatch, 40, (*ROW[:6], endpoint, "2m"))


def test_a_cell_without_a_value_takes_no_line_of_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = shown(monkeypatch, 40, ("new", "-", "Pending", "-", "", "-", "-", "1s")).splitlines()

    assert lines == ["NAME new", "  PHASE Pending", "  AGE 1s"]


def test_few_short_columns_fit_a_narrow_terminal() -> None:
    assert Table(("MODEL", "STAGE", "VERSION"), [("digits", "production", "3")]).fits(40)


@pytest.mark.parametrize(("text", "said"), [("abcd", "abcd"), ("abcde", "abc…")])
def test_a_text_that_was_shortened_shows_it(text: str, said: str) -> None:
    assert clipped(text, 4) == said


def test_work_that_is_short_is_not_told_and_long_work_now_and_then() -> None:
    told: list[str] = []
    now = [0.0]
    step = Pace(str, tell=told.append, clock=lambda: now[0])
    for second in range(30):
        now[0] = float(second)
        step(1)

    assert told == ["4", "14", "24"]


def test_packing_tells_each_byte_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    (tmp_path / "b").write_bytes(bytes(1_000))
    told: dict[str, list[int]] = {}

    class Showing:
        def __init__(self, what: str, total: int) -> None:
            self.steps = told.setdefault(what.split(maxsplit=1)[0], [total])

        def __enter__(self) -> Any:
            return self.steps.append

        def __exit__(self, *_: object) -> None:
            """Nothing is to be taken away."""

    archive = packing.pack(tmp_path, showing=Showing)
    archive.content.close()

    assert told["Packing"][0] == sum(told["Packing"][1:]) == 101_000
    assert told["Hashing"][0] == sum(told["Hashing"][1:]) == archive.size


def test_long_packing_is_told_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_progress, "FIRST_SECONDS", 0)
    (tmp_path / "a").write_bytes(bytes(100_000))
    packing.pack(tmp_path).content.close()
    told = capsys.readouterr().err

    assert f"Looking through {tmp_path}: 1 files and folders so far\n" in told
    assert f"Packing {tmp_path}: " in told
    assert " of 97.7 KiB\n" in told


def test_a_bar_is_for_work_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", out := Terminal())
    with terminal.progress("Uploading", 10) as step:
        step(5)
    short = out.getvalue()
    monkeypatch.setattr(terminal, "_SHORT", 0)
    with terminal.progress("Uploading", 10) as step:
        step(5)

    assert short == ""
    assert "Uploading" in out.getvalue()


def test_a_full_disk_is_not_said_to_be_an_unreadable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_: Full())
    (tmp_path / "a").write_bytes(b"1")

    with pytest.raises(InvalidInput, match=r"does not fit into .*No space left.*TMPDIR"):
        packing.pack(tmp_path)


def test_a_rule_of_gitignore_that_means_nothing_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("!\n*.csv\n")
    (tmp_path / "a.py").write_text("")
    (tmp_path / "b.csv").write_text("")

    with (archive := packing.pack(tmp_path)).content:
        assert archive.ignored == ("b.csv",)


def test_a_pattern_to_include_that_means_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")

    with pytest.raises(InvalidInput, match="--include '!' is no pattern"):
        packing.pack(tmp_path, include=["!"])


def test_help_on_a_narrow_terminal_names_options_in_full() -> None:
    words = [sys.executable, "-c", "from trainyard.cli import app; app()", "run", "--help"]
    settings = {**os.environ, "COLUMNS": "40"}
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=True)

    assert "…" not in done.stdout
    assert {"--timeout", "--experiment", "--include", "--register"} <= set(done.stdout.split())
