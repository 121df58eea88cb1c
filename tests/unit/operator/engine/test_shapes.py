"""What is read of an event is all that is kept of its object."""

from typing import Any

import orjson
import pytest
from builders import given
from builders.stage import attempt_job, attempt_pod
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shapes import reader_of
from trainyard_operator.engine.trimming import trim
from trainyard_operator.names import RUNS

MANAGED = [{"manager": "kueue", "fieldsV1": {"f:spec": {"f:suspend": {}}}}]
TOKEN = {"valueFrom": {"secretKeyRef": {"name": "r-1234abcd", "key": "token"}}}
VARIABLES = [
    {"name": "MLFLOW_TRACKING_TOKEN", **TOKEN},
    {"name": "MLFLOW_TRACKING_URI", "value": "https://tracking:5000"},
    {"name": "OTHER"},
]


def full_pod() -> Object:
    """Return a pod with all that kinds read of one, and with what they do not."""
    ended = {"terminated": {"exitCode": 1, "message": "no", "startedAt": "t", "finishedAt": None}}
    state = {"name": "main", "state": ended, "lastState": {}, "imageID": "sha256:1", "image": "i"}
    pod = attempt_pod(
        given.run(),
        phase="Failed",
        reason="Evicted",
        message="the node is full",
        startTime="2026-01-01T00:00:00Z",
        hostIP="10.0.0.1",
        conditions=[
            {"type": "Ready", "status": "False", "reason": "r", "lastTransitionTime": None},
            {"type": "Initialized", "status": "True", "lastProbeTime": None},
        ],
        containerStatuses=[{**state, "restartCount": 2, "ready": False}],
        initContainerStatuses=[{**state, "name": "source"}],
    )
    pod["metadata"] |= {
        "managedFields": MANAGED,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-01T00:01:00Z",
        "deletionGracePeriodSeconds": 30,
    }
    pod["spec"] |= {
        "nodeName": "n1",
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "token", "secret": {"secretName": "s"}}, {"name": "work"}],
        "initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}],
    }
    pod["spec"]["containers"][0] |= {
        "env": VARIABLES,
        "resources": {"requests": {"cpu": "1"}},
        "ports": [{"containerPort": 80}],
    }
    return pod


def full_job(**spec: Any) -> Object:
    """Return a Job with all that kinds read of one, and with what they do not."""
    job = attempt_job(given.run(), active=1, succeeded=0, startTime="2026-01-01T00:00:00Z")
    job["status"]["conditions"] = [{"type": "Complete", "status": "True", "reason": "r"}]
    job["metadata"]["managedFields"] = MANAGED
    main = {"name": "main", "image": "i", "env": VARIABLES}
    template = {"metadata": {"labels": {}}, "spec": {"containers": [main], "volumes": []}}
    job["spec"] |= {"template": template, "activeDeadlineSeconds": 60, "backoffLimit": 0, **spec}
    return job


def read(resource: str, seen: Object, kind: str = "MODIFIED") -> Object:
    """Return the event of an object as it is read from a line."""
    return reader_of(resource)(orjson.dumps({"type": kind, "object": seen}))


@pytest.mark.parametrize(
    ("resource", "seen"),
    [
        pytest.param(PODS, full_pod(), id="a pod with everything"),
        pytest.param(PODS, attempt_pod(given.run()), id="a pod with little"),
        pytest.param(JOBS, full_job(), id="a job with everything"),
        pytest.param(JOBS, full_job(suspend=True), id="a job that somebody suspended"),
        pytest.param(JOBS, attempt_job(given.run()), id="a job with little"),
        pytest.param(RUNS, given.run(), id="what has no shape"),
    ],
)
def test_an_event_has_all_that_is_kept_of_its_object(resource: str, seen: Object) -> None:
    event = read(resource, seen)

    assert event["type"] == "MODIFIED"
    assert trim(resource, event["object"]) == trim(resource, seen)
    assert event["object"]["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]


@pytest.mark.parametrize(("resource", "seen"), [(PODS, full_pod()), (JOBS, full_job())])
def test_who_owns_which_field_is_left_out(resource: str, seen: Object) -> None:
    assert "managedFields" not in read(resource, seen)["object"]["metadata"]


def test_an_error_says_why() -> None:
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}

    assert read(PODS, gone, "ERROR")["object"] == gone


def test_a_bookmark_has_its_version() -> None:
    seen = {"kind": "Pod", "metadata": {"resourceVersion": "7", "creationTimestamp": None}}

    assert read(PODS, seen, "BOOKMARK")["object"]["metadata"]["resourceVersion"] == "7"


def test_what_is_of_another_shape_is_read_as_it_is() -> None:
    pod = {**full_pod(), "spec": {"containers": None}}

    assert read(PODS, pod)["object"] == pod


def test_what_is_no_json_is_no_event() -> None:
    with pytest.raises(ValueError, match="truncated"):
        reader_of(PODS)(b'{"type": "ADDED", "obj')
