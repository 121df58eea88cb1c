"""The commands of a data scientist on a folder: run, follow, leave, look, compare, cancel."""

import json
import re
import signal
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from on_cluster.runs import Kubectl, condition

TRAIN = """
import argparse, signal, sys, time
from pathlib import Path
import mlflow
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int, default=1)
parser.add_argument("--code", type=int, default=0)
parser.add_argument("--wait", type=int, default=0)
given = parser.parse_args()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the first process ignores it else
print("files:", *sorted(path.as_posix() for path in Path().rglob("*") if path.is_file()))
mlflow.log_metric("score", given.depth / 10)
print(f"depth {given.depth}", flush=True)
time.sleep(given.wait)
sys.exit(given.code)
"""
# MLflow's records outlive Runs and their namespace: those of another time are not looked at.
EXPERIMENT = f"cli-{uuid.uuid4().hex[:8]}"
RUN = ("run", "--experiment", EXPERIMENT)


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    text: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program, data that git ignores, and something that no upload had before."""
    folder = tmp_path_factory.mktemp("01-first-folder")
    (folder / "train.py").write_text(TRAIN)
    (folder / "unique.txt").write_text(uuid.uuid4().hex)
    (folder / ".gitignore").write_text("data/\n*.key\n")
    (folder / "private.key").write_text("secret")
    (folder / "data").mkdir()
    (folder / "data" / "large.csv").write_text("1,2,3")
    return folder


@pytest.fixture(scope="module")
def printed(kube: Kubectl, folder: Path) -> dict[str, Printed]:
    """Run the folder, then at once: a program that fails, the first one again, one that is left."""

    def run(*words: str) -> Printed:
        done = subprocess.run(
            command_line(kube, *words),
            env=kube.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Printed(done.returncode, done.stdout + done.stderr)

    first = run(*RUN, "--name", "first", "-p", "depth=3", str(folder))
    with ThreadPoolExecutor() as pool:
        failing = pool.submit(run, *RUN, "--name", "failing", "-p", "code=3", str(folder))
        again = pool.submit(run, "rerun", "first", "-p", "depth=5", "--name", "again")
        left = pool.submit(interrupted, kube, *RUN, "--name", "left", "-p", "wait=300", str(folder))
        return {
            "first": first,
            "failing": failing.result(),
            "again": again.result(),
            "left": left.result(),
        }


def command_line(kube: Kubectl, *words: str) -> list[str]:
    return ["trainyard", words[0], "-n", kube.namespace, *words[1:]]


def interrupted(kube: Kubectl, *words: str) -> Printed:
    """Press Ctrl-C as soon as the program has printed its last line."""
    with subprocess.Popen(
        command_line(kube, *words),
        env=kube.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # What a shell starts in the background, and all below it, is deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("depth"):
                process.send_signal(signal.SIGINT)
        return Printed(process.wait(60), text)


def test_a_folder_runs_and_its_log_is_followed_to_the_end(printed: dict[str, Printed]) -> None:
    first = printed["first"]

    assert first.code == 0, first.text
    assert "Uploaded 3 files" in first.text
    assert "depth 3" in first.text.splitlines()
    assert re.search(r"first: Succeeded, in \d+s, score=0\.3", first.text)


def test_what_git_ignores_stays_at_home(printed: dict[str, Printed]) -> None:
    assert "files: .gitignore train.py unique.txt" in printed["first"].text.splitlines()


def test_a_folder_that_was_uploaded_is_not_sent_again(printed: dict[str, Printed]) -> None:
    assert "Already there: 3 files" in printed["failing"].text
    assert "Uploaded" not in printed["failing"].text


def test_the_exit_code_is_the_programs(printed: dict[str, Printed], kube: Kubectl) -> None:
    failing = printed["failing"]

    assert failing.code == 3, failing.text
    assert "failing: Failed" in failing.text
    assert "ExitCode: The program exited with code 3" in failing.text
    assert "depth 1" in kube.trainyard("logs", "-f", "failing", expect=3).splitlines()


def test_a_rerun_has_the_same_code_and_another_parameter(
    printed: dict[str, Printed], kube: Kubectl
) -> None:
    again = printed["again"]
    first, second = (kube.get("run", name)["spec"] for name in ("first", "again"))

    assert again.code == 0, again.text
    assert "depth 5" in again.text.splitlines()
    assert second == first | {"parameters": {"depth": 5}}


def test_runs_are_compared_by_what_differs(printed: dict[str, Printed], kube: Kubectl) -> None:
    shown = kube.trainyard("compare", "first", "again").splitlines()
    lines = {words[0]: words[1:] for line in shown if (words := line.split())}

    assert shown[0].split() == ["first", "again"]
    assert lines["depth"] == ["3", "5"]
    assert lines["score"] == ["0.3", "0.5", "*"]


def test_all_runs_of_an_experiment_are_compared(printed: dict[str, Printed], kube: Kubectl) -> None:
    names = kube.trainyard("compare", "-e", EXPERIMENT, "-o", "name").split()

    assert sorted(names) == ["again", "failing", "first", "left"]


def test_ctrl_c_leaves_a_run_going_and_says_how_to_return(
    printed: dict[str, Printed], kube: Kubectl
) -> None:
    left = printed["left"]

    assert left.code == 130, left.text
    assert "Detached: left goes on" in left.text
    assert f"trainyard logs -f left -n {kube.namespace}" in left.text
    assert "Traceback" not in left.text
    assert kube.get("run", "left")["status"]["phase"] == "Running"


def test_the_log_of_a_finished_run_is_printed(printed: dict[str, Printed], kube: Kubectl) -> None:
    assert "depth 3" in kube.trainyard("logs", "first").splitlines()


def test_a_run_that_does_not_exist_is_named(kube: Kubectl) -> None:
    said = kube.trainyard("logs", "nowhere", expect=1)

    assert "nowhere" in said
    assert "Traceback" not in said


def test_status_shows_every_run_and_why_one_failed(
    printed: dict[str, Printed], kube: Kubectl
) -> None:
    shown = {
        words[0]: line for line in kube.trainyard("status").splitlines() if (words := line.split())
    }

    assert "Succeeded" in shown["first"]
    assert "score=0.3" in shown["first"]
    assert "ExitCode" in shown["failing"]


def test_a_run_that_is_cancelled_stops(printed: dict[str, Printed], kube: Kubectl) -> None:
    said = kube.trainyard("cancel", "left")
    run = kube.finished("left")
    again = kube.trainyard("cancel", "left")

    assert "run/left cancelled" in said
    assert condition(run, "Succeeded")["reason"] == "Cancelled"
    assert "had finished already" in again


def test_the_doctor_finds_a_healthy_cluster(kube: Kubectl) -> None:
    said = kube.trainyard("doctor")

    for part in ("cluster: Kubernetes v1", "operator: ", "tracking: healthy", "start Runs?: yes"):
        assert part in said
    assert "✗" not in said
    assert "NO " not in said


def test_the_doctor_says_what_is_broken(kube: Kubectl, tmp_path: Path) -> None:
    away = {"clusters": [{"name": "away", "cluster": {"server": "https://127.0.0.1:1"}}]}
    context = {"name": "away", "context": {"cluster": "away", "user": "nobody"}}
    users = {"users": [{"name": "nobody", "user": {"token": "none"}}]}
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(away | users | {"contexts": [context], "current-context": "away"}))
    broken = Kubectl(kube.environment | {"KUBECONFIG": str(config)}, "default")

    said = broken.trainyard("doctor", expect=1)

    assert "127.0.0.1:1" in said
    assert "→" in said
