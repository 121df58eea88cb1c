"""How commands end that are stopped: as processes of their own, by real signals and pipes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders.sdk import FakeCluster, finished, model_object, run_object

COMMAND = [sys.executable, "-c", "from trainyard.cli import app; app()"]


@contextmanager
def started(*words: str, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command; whatever happens, it ends."""
    with subprocess.Popen(
        [*COMMAND, *words],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def filled(kubeconfig: Path, cluster: FakeCluster) -> FakeCluster:
    """A cluster that judges nothing."""
    cluster.put("runs", run_object("going"))
    cluster.put("models", model_object("digits", aliases={"production": 1}))
    source = {"uri": "runs:/abc/model"}
    for number in (1, 2):
        spec = {"model": "digits", "version": number, "source": source}
        cluster.put("modelversions", {"metadata": {"name": f"digits-{number}"}, "spec": spec})
    return cluster


WAITING = {
    "promote": ("promote", "digits", "2", "--to", "production"),
    "demote": ("demote", "digits", "--from", "production"),
    "serve": ("serve", "digits@production"),
    "rerun": ("rerun", "going"),
}
SAID = {
    "promote": "may be stored, and is judged without you",
    "demote": "trainyard describe model digits -n dev",
    "serve": "trainyard describe deployment digits -n dev",
    "rerun": "trainyard logs -f going-",
}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", WAITING)
def test_who_stops_a_verb_is_told_what_goes_on_without_it(
    filled: FakeCluster, verb: str, stop: signal.Signals
) -> None:
    before = len(filled.events)

    with started(*WAITING[verb]) as process:
        with filled.changed:
            assert filled.changed.wait_for(lambda: len(filled.events) > before, timeout=60)
        while not any("watch=true" in path for _, path, _ in filled.requests):
            assert process.poll() is None
        process.send_signal(stop)
        _, told = process.communicate(timeout=20)

    assert process.returncode == 128 + stop
    assert SAID[verb] in told
    assert "Traceback" not in told


def test_a_context_that_was_chosen_is_part_of_what_to_type_next(filled: FakeCluster) -> None:
    with started("logs", "-f", "going", "--context", "test") as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)

    assert "trainyard logs -f going -n dev --context test\n" in told


@pytest.mark.parametrize(
    "words", [("get", "runs"), ("status",), ("doctor",), ("versions", "digits")]
)
def test_a_reader_that_has_enough_ends_a_command_as_it_ends_others(
    filled: FakeCluster, words: tuple[str, ...]
) -> None:
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        [*COMMAND, *words], stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(write)

    assert done.returncode == -signal.SIGPIPE
    assert "Error" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_output_that_takes_no_more_is_told(filled: FakeCluster) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "get", "runs"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "Standard output takes no more: No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("words", "found"), [(("doctor",), "    -> "), (("describe", "run", "bad"), "  \\u2192 ")]
)
def test_output_that_is_not_unicode_gets_all_the_same(
    filled: FakeCluster, words: tuple[str, ...], found: str
) -> None:
    filled.put("runs", finished("bad", good=False, code=3))

    with started(*words, PYTHONIOENCODING="ascii") as process:
        said, told = process.communicate(timeout=60)

    assert found in said
    assert "Traceback" not in told


PROGRAM = """
import pathlib, signal, sys, threading
def stop(number, frame):
    pathlib.Path("stopped").write_text(signal.Signals(number).name)
    sys.exit(7)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
print("ready")
threading.Event().wait(60)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_runs_here_is_stopped_with_the_command(
    tmp_path: Path, stop: signal.Signals
) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    words = [*COMMAND, "run", "--local", str(tmp_path)]

    # In a session of its own: without a terminal that would have told both.
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(stop)
        process.communicate(timeout=20)

    assert process.returncode == 7
    assert (tmp_path / "stopped").read_text() == stop.name


def test_a_program_that_a_signal_ended_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    with started("run", "--local", str(tmp_path)) as process:
        _, told = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGKILL
    assert "Ended by SIGKILL after" in told
