"""Programs that may take days, and ones that never come to an end."""

import subprocess
import time
from pathlib import Path

import pytest
from trainyard_agent import watched

# Twice as long as what is taken for silence in these tests.
_LONG = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do {}; sleep 0.1; done"
_SILENCE = 1.0


def run(
    folder: Path, script: str, *, silence: float = _SILENCE, said: list[str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return watched.run(
        ["sh", "-c", script],
        folder=folder,
        environment={"PATH": "/usr/bin:/bin", "FOLDER": str(folder)},
        silence=silence,
        say=(said if said is not None else []).append,
    )


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param("echo $i", id="it prints"),
        pytest.param("echo $i >&2", id="it complains"),
        pytest.param('echo $i >> "$FOLDER/pack"', id="a file grows"),
        pytest.param('mkdir -p "$FOLDER/a/$i"', id="there are more files"),
    ],
)
def test_one_that_moves_is_waited_for_as_long_as_it_takes(tmp_path: Path, sign: str) -> None:
    done = run(tmp_path, _LONG.format(sign))

    assert done.returncode == 0


def test_one_that_is_silent_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    begun = time.monotonic()

    with pytest.raises(watched.Silent):
        run(tmp_path, "sleep 30 & sleep 30; wait", silence=0.3)

    assert time.monotonic() - begun < 10


def test_one_that_only_moved_at_first_is_ended(tmp_path: Path) -> None:
    with pytest.raises(watched.Silent):
        run(tmp_path, 'echo begun; echo x > "$FOLDER/x"; sleep 30', silence=0.3)


def test_what_it_printed_is_whole_and_of_its_complaints_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "_MOST_ERRORS", 1000)

    done = run(
        tmp_path,
        "seq 100000; seq 100000 >&2; echo fatal: the end >&2; exit 3",
        silence=20,
    )

    assert done.returncode == 3
    assert done.stdout.count("\n") == 100_000
    assert len(done.stderr) < 100_000
    assert done.stderr.endswith("100000\nfatal: the end\n")


def test_how_much_is_there_is_told_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    (tmp_path / "large").touch()
    with (tmp_path / "large").open("r+b") as file:
        file.truncate(5 << 20)
    monkeypatch.setattr(watched, "_TOLD_EVERY", 0.0)

    with pytest.raises(watched.Silent):
        run(tmp_path, "sleep 30", silence=0.3, said=said)

    assert said
    assert f"5 MiB in {tmp_path} by now" in said[0]


def test_a_folder_that_cant_be_looked_into_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)

    with pytest.raises(watched.Silent):
        run(tmp_path / "nowhere", "sleep 30", silence=0.3)
    with pytest.raises(watched.Silent):
        run(tmp_path, "sleep 30", silence=0.3)
