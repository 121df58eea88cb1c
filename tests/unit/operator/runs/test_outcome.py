"""Every way an attempt can end, by rows."""

from typing import Any

import pytest
from builders import given
from builders.stage import RUNNING, attempt_pod, ended, waiting
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.outcome import Fault, Outcome, commit_of, outcome_of, tail_of

RUN = given.run()
DISRUPTED = {"type": "DisruptionTarget", "status": "True"}


def pod(**more: Any) -> Object:
    return attempt_pod(RUN, **more)


def disrupted(reason: str) -> Object:
    return pod(state=ended(137), conditions=[{**DISRUPTED, "reason": reason, "message": "why"}])


def not_started(message: str) -> Object:
    return ended(128, reason="StartError", message=message)


def told(state: Object, *, placed: str = "", taken: str = "", **meta: Any) -> Object:
    """Return a pod that somebody deleted, of a node whose clock may differ."""
    times: Object = {}
    if placed:
        bound = given.condition("PodScheduled", lastTransitionTime=placed)
        times = {"startTime": taken, "conditions": [bound]}
    held = pod(state=state, **times)
    held["metadata"] |= meta
    return held


def evicted(reason: str = "EvictionByEvictionAPI", *, at: str) -> Object:
    return pod(
        state=ended(0), conditions=[{**DISRUPTED, "reason": reason, "lastTransitionTime": at}]
    )


def init_failed(message: str) -> Object:
    """Return a pod that an injected init container kept from starting, beside a sidecar."""
    held = pod(phase="Failed", state=waiting("PodInitializing"))
    held["spec"]["initContainers"] = [
        {"name": "istio-proxy", "restartPolicy": "Always"},
        {"name": "vault-agent-init"},
    ]
    held["status"]["initContainerStatuses"] = [
        given.container_status("istio-proxy", **ended(143)),
        given.container_status("vault-agent-init", **ended(1, message=message)),
    ]
    return held


ENDS = {
    "exit code 0": (pod(state=ended(0)), "Completed", Fault.NOBODY),
    "an exit code": (pod(state=ended(3)), "ExitCode", Fault.USER),
    "killed for memory": (
        pod(state=ended(137, reason="OOMKilled"), limits={"memory": "64Mi"}),
        "OutOfMemory",
        Fault.USER,
    ),
    "killed, by whomever, under a memory limit": (
        pod(state=ended(137), limits={"memory": "64Mi"}),
        "ExitCode",
        Fault.USER,
    ),
    "killed without a limit": (pod(state=ended(137)), "ExitCode", Fault.USER),
    "killed for memory without a limit": (
        pod(state=ended(137, reason="OOMKilled")),
        "OutOfMemory",
        Fault.USER,
    ),
    "no such program": (
        pod(state=not_started('exec: "x": executable file not found in $PATH')),
        "StartFailed",
        Fault.FINAL,
    ),
    "a folder to start in that is not there": (
        pod(state=not_started('chdir to cwd ("/work/x") set in config.json failed: no such file')),
        "StartFailed",
        Fault.FINAL,
    ),
    "a runtime that misses a file of its own": (
        pod(state=not_started("open /run/x/log.json: no such file or directory: fork/exec runc")),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "a program that may not be executed": (
        pod(state=ended(128, reason="StartError", message='exec: "x": permission denied')),
        "StartFailed",
        Fault.FINAL,
    ),
    "a program for other machines": (
        pod(state=ended(128, reason="StartError", message="exec /x: exec format error")),
        "StartFailed",
        Fault.FINAL,
    ),
    "a node that cannot start it": (
        pod(state=ended(128, reason="StartError", message="resource temporarily unavailable")),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "preemption": (disrupted("PreemptionByScheduler"), "Preempted", Fault.INFRASTRUCTURE),
    "eviction by the API": (disrupted("EvictionByEvictionAPI"), "Evicted", Fault.INFRASTRUCTURE),
    "a taint": (disrupted("DeletionByTaintManager"), "Evicted", Fault.INFRASTRUCTURE),
    "a lost node": (disrupted("DeletionByPodGC"), "PodLost", Fault.INFRASTRUCTURE),
    "a new kind of disruption": (disrupted("Other"), "Evicted", Fault.INFRASTRUCTURE),
    "eviction by the node": (
        pod(phase="Failed", reason="Evicted", message="low on memory"),
        "Evicted",
        Fault.INFRASTRUCTURE,
    ),
    "a node that refuses": (
        pod(phase="Failed", reason="OutOfcpu"),
        "Evicted",
        Fault.INFRASTRUCTURE,
    ),
    "a pod that failed untold": (pod(phase="Failed"), "PodLost", Fault.INFRASTRUCTURE),
    "a container nobody knows": (
        pod(state=ended(137, reason="ContainerStatusUnknown")),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "a pod that was deleted": (
        pod(state=ended(143), deleting=True),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "a deleted pod whose program saved its work and left": (
        told(ended(0), deletionTimestamp="2026-11-24T12:59:59Z", deletionGracePeriodSeconds=30),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "a pod deleted long after its program's end": (
        told(ended(0), deletionTimestamp="2026-11-24T13:10:00Z", deletionGracePeriodSeconds=30),
        "Completed",
        Fault.NOBODY,
    ),
    "a pod deleted long after its program's failure": (
        told(ended(3), deletionTimestamp="2026-11-24T13:10:00Z", deletionGracePeriodSeconds=30),
        "ExitCode",
        Fault.USER,
    ),
    "a deleted pod of an unknown grace time": (
        told(ended(0), deletionTimestamp="2026-11-24T13:10:00Z"),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "a deleted pod on a node that is an hour behind": (
        told(
            ended(0),
            deletionTimestamp="2026-11-24T13:59:40Z",
            deletionGracePeriodSeconds=30,
            placed="2026-11-24T13:50:00Z",
            taken="2026-11-24T12:50:01Z",
        ),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "an evicted pod whose program saved its work and left": (
        evicted(at="2026-11-24T12:59:20Z"),
        "Evicted",
        Fault.INFRASTRUCTURE,
    ),
    "a pod that was evicted long after its program's end": (
        evicted(at="2026-11-24T13:10:00Z"),
        "Completed",
        Fault.NOBODY,
    ),
    "a node that shut down, which it tells when all is over": (
        evicted("TerminationByKubelet", at="2026-11-24T13:10:00Z"),
        "Evicted",
        Fault.INFRASTRUCTURE,
    ),
    "a program that left with 0 when its node was short of memory": (
        pod(state=ended(0), phase="Failed", reason="Evicted"),
        "Evicted",
        Fault.INFRASTRUCTURE,
    ),
    "a preempted pod whose program left with 0": (
        pod(state=ended(0), conditions=[{**DISRUPTED, "reason": "PreemptionByScheduler"}]),
        "Preempted",
        Fault.INFRASTRUCTURE,
    ),
    "a pod over its own deadline": (
        pod(state=ended(0), phase="Failed", reason="DeadlineExceeded"),
        "TimedOut",
        Fault.FINAL,
    ),
    "code that was being fetched when the pod was deleted": (
        pod(source=ended(143), deleting=True),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "an init container of a policy": (
        init_failed("permission denied: role x"),
        "InitFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code that is not to be had": (
        pod(
            state=waiting("PodInitializing"),
            source=ended(2, message='{"reason": "SourceFailed", "message": "no such branch"}'),
        ),
        "SourceFailed",
        Fault.USER,
    ),
    "code behind a service that is down": (
        pod(
            phase="Failed",
            source=ended(4, message='{"reason": "TrackingUnavailable", "message": "down"}'),
        ),
        "SourceFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code on a server that is away": (
        pod(
            phase="Failed",
            source=ended(2, message='{"reason": "SourceUnavailable", "message": "no such host"}'),
        ),
        "SourceFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code for which the node has no room": (
        pod(
            phase="Failed",
            source=ended(2, message='{"reason": "VolumeFailed", "message": "no space left"}'),
        ),
        "SourceFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code whose fetching took too much memory": (
        pod(phase="Failed", source=ended(137, reason="OOMKilled", message="unpacked 900 MiB")),
        "OutOfMemory",
        Fault.USER,
    ),
    "code whose fetching the node could not start": (
        pod(phase="Failed", source=ended(128, reason="StartError", message="cgroup: no space")),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "code whose fetching the node knows nothing of any more": (
        pod(phase="Failed", source=ended(137, reason="ContainerStatusUnknown")),
        "PodLost",
        Fault.INFRASTRUCTURE,
    ),
    "code whose fetching was told to stop": (
        pod(phase="Failed", source=ended(143, message='{"reason": "Stopped", "message": "gone"}')),
        "SourceFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code whose fetching was told to stop before it had begun": (
        pod(phase="Failed", source=ended(143)),
        "SourceFailed",
        Fault.INFRASTRUCTURE,
    ),
    "code that cannot be copied": (
        pod(source=ended(1, message="cp: no space\n")),
        "SourceFailed",
        Fault.USER,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_has_its_reason_and_whose_fault_it_is(name: str) -> None:
    ended_pod, reason, fault = ENDS[name]
    outcome = outcome_of(ended_pod)

    assert outcome is not None
    assert (outcome.reason, outcome.fault) == (reason, fault)


GOING_ON = {
    "a pod without a status": pod(),
    "a running program": pod(state=RUNNING, phase="Running"),
    "a waiting program": pod(state=waiting("ContainerCreating")),
    "code being fetched": pod(source={"running": {}}),
    "code that was fetched": pod(source=ended(0), state=waiting("PodInitializing")),
}


@pytest.mark.parametrize("name", GOING_ON)
def test_an_attempt_goes_on(name: str) -> None:
    assert outcome_of(GOING_ON[name]) is None


def test_a_sidecar_that_never_exits_does_not_keep_a_run_from_ending() -> None:
    held = pod(state=ended(0), phase="Running")
    held["status"]["containerStatuses"].append(given.container_status("sidecar", running={}))

    assert outcome_of(held) == Outcome(
        "Completed",
        "The program exited with code 0",
        Fault.NOBODY,
        0,
        "2026-11-24T12:59:00Z",
        "2026-11-24T12:59:30Z",
    )


MESSAGES = {
    "the last line": (pod(state=ended(3, message="a\nthe end\n")), "the end"),
    "what a code means": (pod(state=ended(127)), "a program was not found"),
    "the limit": (ENDS["killed for memory"][0], "64Mi"),
    "twice the limit": (ENDS["killed for memory"][0], "128Mi"),
    "that the node was short": (ENDS["killed for memory without a limit"][0], "requests.memory"),
    "the command": (ENDS["no such program"][0], "spec.command[0]"),
    "the interpreter": (ENDS["a program that may not be executed"][0], "chmod"),
    "the node's words": (ENDS["eviction by the node"][0], "low on memory"),
    "the agent's words": (ENDS["code that is not to be had"][0], "no such branch"),
    "the container that failed": (ENDS["an init container of a policy"][0], "vault-agent-init"),
    "its last line": (ENDS["an init container of a policy"][0], "permission denied: role x"),
    "what a kill may mean": (
        ENDS["killed, by whomever, under a memory limit"][0],
        "a process of its own was for memory; its limit: 64Mi",
    ),
    "the copy's words": (ENDS["code that cannot be copied"][0], "no space"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_tells(name: str) -> None:
    ended_pod, words = MESSAGES[name]
    outcome = outcome_of(ended_pod)

    assert outcome is not None
    assert words in outcome.message


def test_a_start_that_never_was_has_no_time() -> None:
    outcome = outcome_of(
        pod(state=ended(128, reason="StartError", startedAt="1970-01-01T00:00:00Z"))
    )

    assert outcome is not None
    assert outcome.started == ""


def test_the_tail_is_the_last_ten_lines_that_say_something() -> None:
    lines = "\n".join(f"line {n}" for n in range(20))

    assert tail_of(f"{lines}\n\n  \n") == tuple(f"line {n}" for n in range(10, 20))


def test_the_commit_is_what_the_agent_reports() -> None:
    assert commit_of(pod(source=ended(0, message='{"commit": "abc"}'))) == "abc"


@pytest.mark.parametrize("message", ["", "no JSON", "[1]"])
def test_without_a_report_there_is_no_commit(message: str) -> None:
    assert commit_of(pod(source=ended(0, message=message))) == ""


def test_memory_that_fetching_lacked_is_told_with_the_limit_to_raise() -> None:
    limits = {"limits": {"memory": "1Gi"}}
    stopped = pod(source=ended(137, reason="OOMKilled", message="unpacked 900 MiB"))
    stopped["spec"]["containers"] = [{"name": "main", "resources": limits}]

    outcome = outcome_of(stopped)

    assert outcome is not None
    assert outcome.message.startswith("Fetching the code used more memory than its limit of 1Gi:")
