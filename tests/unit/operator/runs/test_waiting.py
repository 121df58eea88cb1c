"""Why a pod does not start, by rows; and what an unschedulable one lacks."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from builders import given
from builders.stage import attempt_pod, waiting
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs import scheduling
from trainyard_operator.runs.scheduling import explain_unschedulable, parse_quantity
from trainyard_operator.runs.waiting import (
    PENDING,
    STARTING,
    Waiting,
    blocked_of,
    look_again,
    waiting_of,
)

RUN = given.run()
NEVER = None
AT_ONCE = timedelta(0)


def pod(reason: str, message: str = "") -> Object:
    return attempt_pod(RUN, state=waiting(reason, message))


def unscheduled(message: str) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return attempt_pod(RUN, conditions=[{**condition, "message": message}])


def beside(name: str, *, field: str = "containerStatuses", **state: Any) -> Object:
    """Return a pod that waits, with a container that a policy added."""
    held = attempt_pod(RUN, state=waiting("PodInitializing"))
    added = given.container_status(name, **state)
    held["status"][field] = [*held["status"].get(field, ()), added]
    return held


def crashing(message: str) -> Object:
    held = beside("istio-init", field="initContainerStatuses", **waiting("CrashLoopBackOff"))
    ended = {"terminated": {"exitCode": 1, "message": message}}
    held["status"]["initContainerStatuses"][0]["lastState"] = ended
    return held


BACK_OFF = 'Back-off pulling image "denied/app:404": ErrImagePull: '
WAITS: dict[str, tuple[Object, str, bool, str]] = {
    # name: pod, reason, can it end by itself, words of the message
    "an image that is not there": (
        pod("ErrImagePull", "rpc error: manifest unknown"),
        "ImagePullFailed",
        True,
        "imagePullSecrets",
    ),
    "an image that one may not have": (
        pod("ImagePullBackOff", BACK_OFF + "401 Unauthorized"),
        "ImagePullFailed",
        True,
        "registry.example/code:1",
    ),
    "a registry that is slow": (
        pod("ErrImagePull", "dial tcp 1.2.3.4:443: i/o timeout"),
        "ImagePullFailed",
        False,
        "trying again",
    ),
    "a registry that is slow, of an image with a telling name": (
        pod("ImagePullBackOff", BACK_OFF + "503 Service Unavailable"),
        "ImagePullFailed",
        False,
        "trying again",
    ),
    "a registry that nobody knows": (
        pod("ErrImagePull", "lookup registry.exmaple: no such host"),
        "ImagePullFailed",
        True,
        "registry's name",
    ),
    "an image that may not be pulled": (
        pod("ErrImageNeverPull", "not present with pull policy Never"),
        "ImagePullFailed",
        True,
        "Never",
    ),
    "a malformed image": (pod("InvalidImageName", "x"), "InvalidImageName", True, "correct it"),
    "an image that runs as root": (
        pod("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        "ImageRunsAsRoot",
        True,
        "runAsUser",
    ),
    "an image with a user by name": (
        pod(
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user",
        ),
        "ImageRunsAsRoot",
        True,
        "numeric USER",
    ),
    "a missing secret": (
        pod("CreateContainerConfigError", 'secret "absent" not found'),
        "ConfigMissing",
        True,
        "Secret absent does not exist",
    ),
    "a missing key": (
        pod("CreateContainerConfigError", "couldn't find key user in Secret team/db"),
        "ConfigMissing",
        True,
        "db has no key user",
    ),
    "something else in the configuration": (
        pod("CreateContainerConfigError", "oops"),
        "StartFailed",
        True,
        "oops",
    ),
    "a secret that is slow to arrive": (
        pod("CreateContainerConfigError", "failed to sync secret cache: timed out"),
        "StartFailed",
        False,
        "sync",
    ),
    "a new state": (pod("SomethingNew", "oops"), "Starting", False, "oops"),
    "too little room": (unscheduled("0/1 nodes: Insufficient cpu"), "Unschedulable", False, "cpu"),
    "a sidecar whose image is not there": (
        beside("linkerd", **waiting("ErrImagePull", "manifest unknown")),
        "ImagePullFailed",
        False,
        "The container linkerd, which is not Trainyard's",
    ),
    "a container of a policy that fails again and again": (
        crashing("no iptables"),
        "Starting",
        False,
        "no iptables",
    ),
    "an init container of a policy that takes its time": (
        beside("vault-agent-init", field="initContainerStatuses", running={}),
        "Starting",
        False,
        "vault-agent-init",
    ),
    "a missing volume": (
        unscheduled('persistentvolumeclaim "data" not found'),
        "ConfigMissing",
        True,
        "data",
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_has_its_reason_and_says_what_to_do(name: str) -> None:
    waiting_pod, reason, ends, words = WAITS[name]
    waits = waiting_of(waiting_pod, ())

    assert (waits.reason, waits.patience is not None) == (reason, ends)
    assert words in waits.message


@pytest.mark.parametrize(
    ("warning", "reason", "words"),
    [
        pytest.param(
            'FailedMount: MountVolume.SetUp failed for volume "v": configmap "code" not found',
            "ConfigMissing",
            "ConfigMap code",
            id="a missing ConfigMap",
        ),
        pytest.param(
            "FailedMount: references non-existent secret key: k",
            "ConfigMissing",
            "no key k",
            id="a missing key",
        ),
        pytest.param(
            "FailedAttachVolume: busy", "Starting", "busy", id="a volume that is used elsewhere"
        ),
        pytest.param("BackOff: something", "Starting", "is starting", id="nothing of note"),
    ],
)
def test_a_pod_that_is_being_made_is_explained_by_its_events(
    warning: str, reason: str, words: str
) -> None:
    waits = waiting_of(pod("ContainerCreating"), (warning,))

    assert waits.reason == reason
    assert words in waits.message


def test_a_pod_that_was_just_made_is_starting() -> None:
    assert waiting_of(attempt_pod(RUN), ()) == STARTING


@pytest.mark.parametrize(
    ("warning", "reason", "patience"),
    [
        ("FailedCreate: pods is forbidden: exceeded quota: q", "QuotaExceeded", NEVER),
        (
            "FailedCreate: failed quota: q: must specify limits.cpu for: main",
            "ResourcesMissing",
            timedelta(minutes=5),
        ),
        (
            'FailedCreate: violates PodSecurity "restricted": runAsUser=0',
            "ImageRunsAsRoot",
            AT_ONCE,
        ),
        ('FailedCreate: violates PodSecurity "baseline": hostPath', "InvalidSpec", AT_ONCE),
        ("FailedCreate: Pod is invalid: spec.volumes", "InvalidSpec", AT_ONCE),
        ("FailedCreate: connection refused", "Pending", NEVER),
        ("FailedCreate: etcdserver: request is too large", "InvalidSpec", AT_ONCE),
        ("FailedCreate: webhook denied it: pods must specify label team", "Pending", NEVER),
        ("Other: whatever", "Pending", NEVER),
    ],
)
def test_a_job_without_a_pod_is_explained_by_its_events(
    warning: str, reason: str, patience: timedelta | None
) -> None:
    waits = blocked_of((warning,))

    assert (waits.reason, waits.patience) == (reason, patience)


def test_a_missing_service_account_is_a_missing_configuration() -> None:
    waits = blocked_of(('FailedCreate: error looking up account: serviceaccount "s" not found',))

    assert waits.reason == "ConfigMissing"


def test_a_job_without_events_is_pending() -> None:
    assert blocked_of(()) == PENDING


def test_a_wait_ends_once_its_patience_is_over() -> None:
    waits = Waiting("ConfigMissing", "", timedelta(seconds=30))

    assert not waits.is_final(timedelta(seconds=29))
    assert waits.is_final(timedelta(seconds=30))
    assert not STARTING.is_final(timedelta(days=1))


def node(name: str, **allocatable: str) -> Object:
    return given.thing("v1", "Node", name, status={"allocatable": allocatable})


def asking(**requests: str) -> Object:
    asked = attempt_pod(RUN)
    asked["spec"]["containers"][0]["resources"] = {"requests": requests}
    return asked


SHORT: dict[str, tuple[dict[str, Any], list[Object], str]] = {
    "no node is big enough": (
        {"cpu": "900"},
        [node("a", cpu="2"), node("b", cpu="4")],
        "cpu 900 asked for: the largest node, b, has 4",
    ),
    "only one is": (
        {"memory": "8Gi"},
        [node("a", memory="4Gi"), node("b", memory="16Gi")],
        "memory 8Gi asked for: only b have it",
    ),
    "some are": (
        {"cpu": "3"},
        [node("small", cpu="2"), *(node(f"n{n}", cpu="4") for n in range(5))],
        "cpu 3 asked for: only n0, n1, n2 and 2 more have it",
    ),
    "there is no such device": (
        {"gpu": "1"},
        [node("a", cpu="2")],
        "gpu 1 asked for: no node has any",
    ),
    "every node is big enough": ({"cpu": "100m"}, [node("a", cpu="2")], ""),
    "nothing is asked for": ({"cpu": "0"}, [node("a", cpu="2")], ""),
    "nothing is known of nodes": ({"cpu": "1"}, [], ""),
}


@pytest.mark.parametrize("name", SHORT)
def test_what_is_short_is_named_with_the_nodes_that_have_it(name: str) -> None:
    requests, nodes, said = SHORT[name]

    assert explain_unschedulable(asking(**requests), nodes) == said


def test_nodes_that_were_read_anew_are_seen_and_the_same_ones_parsed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[object] = []

    def parse(text: object) -> Decimal:
        parsed.append(text)
        return parse_quantity(text)

    monkeypatch.setattr(scheduling, "parse_quantity", parse)
    nodes = [node("a", cpu="2"), node("b", cpu="4")]
    for wanted in ("8", "9", "3"):
        said = explain_unschedulable(asking(cpu=wanted), tuple(nodes))
    assert said == "cpu 3 asked for: only b have it"
    assert parsed == ["8", "2", "4", "9", "3"]

    anew = [nodes[0], node("b", cpu="2500m")]
    said = explain_unschedulable(asking(cpu="3"), anew)
    assert said == "cpu 3 asked for: the largest node, b, has 2500m"


@pytest.mark.parametrize(
    ("waited", "left", "pause"),
    [
        (-3600, None, 5),
        (0, None, 5),
        (30, None, 5),
        (60, None, 10),
        (180, None, 30),
        (360, None, 60),
        (1_000_000, None, 60),
        (1_000_000, 12, 12),
        (0, 3, 3),
        (30, 100, 5),
    ],
)
def test_what_waits_is_looked_at_less_and_less_often(
    waited: float, left: float | None, pause: float
) -> None:
    patience = None if left is None else timedelta(seconds=left)

    assert look_again(timedelta(seconds=waited), left=patience) == timedelta(seconds=pause)
