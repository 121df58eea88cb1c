"""Logs outlive pods, whole."""

import hashlib

import pytest
from gen_e2e import Kubectl, shell_run

LINES = 1_048_576  # of 100 bytes: 100 MiB


def expected() -> str:
    digest = hashlib.sha256()
    for number in range(LINES):
        digest.update(b"%099d\n" % number)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def runs(kube: Kubectl) -> Kubectl:
    many = f"import sys\nfor i in range({LINES}): sys.stdout.write('%099d\\n' % i)"
    kube.apply(
        shell_run("short", "echo first; echo second >&2; printf 'no newline'"),
        shell_run("many", "", command=["python3", "-c", many]),
        shell_run("shot", "echo before; sleep 300"),
        shell_run("killed", "echo before; printf 'no newline'; kill -9 $$"),
    )
    return kube


def test_the_log_is_there_after_its_pod(runs: Kubectl) -> None:
    runs.recorded("short")
    runs("delete", "job", "short-a1", "--ignore-not-found", "--wait")

    log = runs.trainyard("logs", "short")

    assert {"first", "second", "no newline"} <= set(log.splitlines())


def test_a_hundred_mebibytes_arrive_whole(runs: Kubectl) -> None:
    runs.recorded("many", seconds=300)

    log = runs.trainyard("logs", "many")
    lines = [line for line in log.splitlines(keepends=True) if line[:1] == "0"]

    assert hashlib.sha256("".join(lines).encode()).hexdigest() == expected()


def test_a_program_that_is_killed_leaves_all_that_it_printed(runs: Kubectl) -> None:
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
