"""Each way a Run can end has its own reason and says what to do; each by a real pod."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from on_cluster.runs import SYSTEM, Kubectl, Object, condition, shell_run, status_of

# A registry that says no, as Docker's does of what is not there, is asked for a minute.
PATIENCE = timedelta(seconds=90)

# containerd may learn of a kill for memory after it told the end: then no node says why.
MEMORY = [f"memory-{n}" for n in range(1, 4)]
RUNS = {
    "exit-code": shell_run("exit-code", "echo the end is near; exit 3"),
    "image": shell_run("image", "true", image="docker.io/trainyard/no-such-image:1"),
    "secret": shell_run("secret", "true", envFrom=[{"secretRef": {"name": "absent"}}]),
    "late": shell_run("late", "sleep 300", timeout="4s"),
    "command": shell_run("command", "", command=["no-such-program"]),
}
ENDS = {
    "exit-code": ("ExitCode", "3"),
    "image": ("ImagePullFailed", "no-such-image"),
    "secret": ("ConfigMissing", "absent"),
    "late": ("TimedOut", "4s"),
    "command": ("StartFailed", "no-such-program"),
}


@pytest.fixture(scope="module")
def runs(kube: Kubectl) -> Kubectl:
    kube.apply(*RUNS.values(), *(greedy(name) for name in MEMORY))
    return kube


def greedy(name: str) -> Object:
    more = "python3 -c 'print(len(bytearray(300_000_000)))'"
    return shell_run(name, more, resources={"limits": {"memory": "64Mi"}})


@pytest.mark.parametrize("name", ENDS)
def test_the_end_has_a_reason_and_a_message_that_names_the_cause(runs: Kubectl, name: str) -> None:
    run = runs.finished(name)
    succeeded = condition(run, "Succeeded")
    reason, cause = ENDS[name]

    assert (succeeded["status"], succeeded["reason"]) == ("False", reason)
    assert cause in succeeded["message"]


def test_memory_is_the_reason_where_the_node_says_so_and_the_limit_is_always_named(
    runs: Kubectl,
) -> None:
    ends = [condition(runs.finished(name), "Succeeded") for name in MEMORY]
    pods = [runs.list("pods", f"trainyard.dev/run={name}")[0] for name in MEMORY]
    nodes = [p["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] for p in pods]
    meant = {"OOMKilled": "OutOfMemory", "Error": "ExitCode"}

    assert [end["reason"] for end in ends] == [meant[said] for said in nodes]
    assert "OOMKilled" in nodes
    assert all("64Mi" in end["message"] for end in ends)


def test_an_image_that_cannot_be_pulled_is_given_up_after_a_few_tries(runs: Kubectl) -> None:
    run = runs.finished("image")
    ended = datetime.fromisoformat(run["status"]["completionTime"])

    assert ended - datetime.fromisoformat(run["metadata"]["creationTimestamp"]) <= PATIENCE


@pytest.fixture
def images_own_user(kube: Kubectl) -> Iterator[None]:
    """An installation that leaves pods the user of their image, as runs.runAsUser=null does."""
    operator = ("-n", SYSTEM, "deployment/trainyard-operator")
    pods = ("-n", SYSTEM, "pods", "-l", "app.kubernetes.io/component=operator")

    def set_user(value: str) -> None:
        old = kube("get", *pods, "-o", "name").split()
        kube("set", "env", *operator, f"TRAINYARD_RUN_AS_USER={value}")
        kube("rollout", "status", *operator, "--timeout=90s")
        # The old one works on until it is gone, as it was told.
        kube("wait", "-n", SYSTEM, "--for=delete", *old, "--timeout=60s")

    path = (
        "jsonpath={.spec.template.spec.containers[0].env[?(@.name=='TRAINYARD_RUN_AS_USER')].value}"
    )
    before = kube("get", *operator, "-o", path)
    set_user("")
    yield
    set_user(before)


def test_an_image_that_runs_as_root_is_refused_with_the_fix(
    images_own_user: None, kube: Kubectl
) -> None:
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    image = kube("get", "-n", "kube-system", "daemonset/kube-proxy", "-o", path)
    kube.apply(shell_run("root", "true", image=image))

    succeeded = condition(kube.finished("root"), "Succeeded")

    assert (succeeded["status"], succeeded["reason"]) == ("False", "ImageRunsAsRoot")
    assert "set spec.podTemplate.runAsUser" in succeeded["message"]


def test_a_failing_program_shows_its_last_lines(runs: Kubectl) -> None:
    run = runs.finished("exit-code")
    attempt = run["status"]["attempts"][-1]

    assert attempt["exitCode"] == 3
    assert "the end is near" in attempt["logTail"]


def test_an_unschedulable_run_waits_and_names_what_is_short(kube: Kubectl) -> None:
    kube.apply(shell_run("huge", "true", resources={"requests": {"cpu": "900"}}))

    def unschedulable(run: Object) -> bool:
        return condition(run, "Finished").get("reason") == "Unschedulable"

    run = kube.wait("run", "huge", unschedulable, seconds=30)

    assert "cpu" in condition(run, "Finished")["message"]


def test_a_cancelled_run_ends_and_leaves_no_pod(kube: Kubectl) -> None:
    kube.apply(shell_run("long", "sleep 300"))
    kube.wait("run", "long", lambda run: run.get("status", {}).get("phase") == "Running")
    kube("patch", "run", "long", "--type=merge", "-p", '{"spec":{"cancel":true}}')

    run = kube.finished("long")

    assert condition(run, "Succeeded")["reason"] == "Cancelled"


def test_a_lost_job_is_retried_as_the_infrastructures_fault(kube: Kubectl) -> None:
    kube.apply(shell_run("lost", "sleep 20", retry={"infrastructure": 0}))
    kube.wait("run", "lost", lambda run: run.get("status", {}).get("phase") == "Running")
    kube("delete", "job", "lost-a1", "--wait=false")

    run = kube.finished("lost")

    assert condition(run, "Succeeded")["reason"] == "PodLost"


def test_a_failed_run_may_try_again(kube: Kubectl) -> None:
    script = 'test "$TRAINYARD_ATTEMPT" = 2'
    kube.apply(shell_run("second-time", script, retry={"userError": 1}))

    run = kube.finished("second-time")

    assert status_of(run, "Succeeded") == "True"
    assert [attempt["number"] for attempt in run["status"]["attempts"]] == [1, 2]
