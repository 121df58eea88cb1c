"""Logs outlive pods, whole."""

import subprocess

import pytest
from on_cluster.runs import Kubectl, shell_run
from trainyard_cluster.paths import NODE
from trainyard_cluster.provider import provider

MARK = "4711"  # of the one process that is killed from outside: nothing else ends a first one
LINES = 1_048_576  # of 100 bytes: 100 MiB
STEPS = 1_000  # of 10 kB


def differs(log: str) -> str:
    """Say where a log differs from what was printed; nothing if it does not."""
    lines = log.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line != f"{number:099d}\n":
            return f"line {number} of {len(lines)} is {line!r}"
    return "" if len(lines) == LINES else f"{len(lines)} lines of {LINES}"


@pytest.fixture(scope="module")
def runs(kube: Kubectl) -> Kubectl:
    many = f"import sys\nfor i in range({LINES}): sys.stdout.write('%099d\\n' % i)"
    bar = f"for i in range({STEPS}): print('\\r%09999d' % i, end='')\nprint()"
    kube.apply(
        shell_run("bar", "", command=["python3", "-c", bar]),
        shell_run("short", "echo first; echo second >&2; printf 'no newline'"),
        shell_run("many", "", command=["python3", "-c", many]),
        shell_run("shot", "echo before; sleep 300"),
        shell_run("killed", f"echo before; printf 'no newline'; exec sleep {MARK}"),
    )
    return kube


def test_the_log_is_there_after_its_pod(runs: Kubectl) -> None:
    runs.recorded("short")
    runs("delete", "job", "short-a1", "--ignore-not-found", "--wait")

    log = runs.trainyard("logs", "short")

    # In whatever order the node read the two streams.
    assert [log.count(each) for each in ("first\n", "second\n", "no newline")] == [1, 1, 1]


def test_a_hundred_mebibytes_arrive_whole(runs: Kubectl) -> None:
    runs.recorded("many", seconds=300)

    assert not differs(runs.trainyard("logs", "many"))


def test_ten_megabytes_in_one_line_arrive_whole(runs: Kubectl) -> None:
    runs.recorded("bar")
    shown = ("trainyard", "logs", "-n", runs.namespace, "bar")

    log = subprocess.run(shown, env=runs.environment, capture_output=True, check=True).stdout

    assert log == b"".join(b"\r%09999d" % i for i in range(STEPS)) + b"\n"


def test_a_program_that_is_killed_leaves_all_that_it_printed(runs: Kubectl) -> None:
    runs.wait("run", "killed", lambda run: run.get("status", {}).get("phase") == "Running")
    provider().run("exec", NODE, "pkill", "-KILL", "-f", f"^sleep {MARK}", log="e2e", remedy="")

    run = runs.recorded("killed")

    assert run["status"]["attempts"][-1]["exitCode"] == 137
    assert runs.trainyard("logs", "killed") == "before\nno newline\n"


def test_a_pod_that_is_killed_leaves_its_log_and_says_what_may_be_missing(runs: Kubectl) -> None:
    runs.wait("run", "shot", lambda run: run.get("status", {}).get("phase") == "Running")
    pod = runs.list("pods", "trainyard.dev/run=shot")[0]["metadata"]["name"]
    runs("patch", "run", "shot", "--type=merge", "-p", '{"spec":{"cancel":true}}')
    runs("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
    runs.recorded("shot")

    assert "before" in runs.trainyard("logs", "shot")
