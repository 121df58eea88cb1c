"""A version that does not come up: what holds it up, and when it is rejected."""

from datetime import timedelta
from typing import Any

import pytest
from builders import given
from builders.deployments import (
    applied,
    child,
    condition,
    crashing,
    digest,
    plan,
    pod,
    served,
    version,
)
from builders.registry import NOW
from trainyard_api.meta import rfc3339
from trainyard_operator.engine.plan import Object, Plan


def crashed(restarts: int, **more: Any) -> Plan:
    resource = given.model_deployment(status={"stable": served(1)}, **more)
    return plan(
        resource,
        child(resource, 1, ready=1),
        child(resource, 2),
        follows=version(2),
        pods=(crashing(2, restarts, '{"reason": "LoadFailed", "message": "no model.pkl"}'),),
    )


def test_a_crash_is_told_in_the_servers_words_while_the_old_one_serves() -> None:
    told = crashed(1)

    assert condition(told, "Progressing")["reason"] == "LoadFailed"
    assert "no model.pkl" in condition(told, "Progressing")["message"]
    assert condition(told, "Available")["status"] == "True"
    assert told.delete == ()


def test_too_many_reject_the_digest() -> None:
    told = crashed(3, retry=7)

    assert told.status["rejected"] == {
        "digest": digest(2),
        "reason": "LoadFailed",
        "message": "no model.pkl",
        "retry": 7,
    }
    assert [r.kind for r in told.delete] == ["Deployment", "Secret"]
    assert "Rejected" in [e.reason for e in told.events]
    assert told.status["phase"] == "Degraded"


def test_rejected_it_is_not_started_until_retry_changes() -> None:
    told = crashed(3)
    resource = given.model_deployment(status=told.status)

    still = plan(resource, child(resource, 1, ready=1), follows=version(2))
    again = plan(
        given.model_deployment(status=told.status, retry=1),
        child(resource, 1, ready=1),
        follows=version(2),
    )

    assert applied(still, "Deployment") == ["digits-11111111"]
    assert still.events == ()
    assert applied(again, "Deployment") == ["digits-11111111", "digits-22222222"]
    assert "rejected" not in again.status


@pytest.mark.parametrize(
    ("seen", "reason", "told"),
    [
        pytest.param(
            crashing(2, 1, reason="OOMKilled"),
            "OutOfMemory",
            "spec.resources.limits.memory",
            id="out of memory",
        ),
        pytest.param(
            crashing(2, 1, "Traceback\nValueError: bad"),
            "ServerCrashed",
            "ValueError: bad",
            id="a traceback",
        ),
        pytest.param(
            pod(
                2,
                containerStatuses=[
                    given.container_status(
                        "server", waiting={"reason": "ImagePullBackOff", "message": "denied"}
                    )
                ],
            ),
            "ImagePullFailed",
            "denied",
            id="an image that cannot be pulled",
        ),
        pytest.param(
            pod(
                2,
                containerStatuses=[
                    given.container_status(
                        "server", waiting={"reason": "CreateContainerConfigError"}
                    )
                ],
            ),
            "ConfigMissing",
            "container",
            id="a container that cannot be made",
        ),
        pytest.param(
            pod(
                2,
                conditions=[
                    given.condition("PodScheduled", "False", "Unschedulable", "no cpu left")
                ],
            ),
            "Unschedulable",
            "no cpu left",
            id="no room",
        ),
    ],
)
def test_what_holds_a_pod_up_is_named(seen: Object, reason: str, told: str) -> None:
    resource = given.model_deployment(status={"stable": served(1)})
    found = plan(
        resource,
        child(resource, 1, ready=1),
        child(resource, 2),
        follows=version(2),
        pods=(seen,),
    )

    assert condition(found, "Progressing")["reason"] == reason
    assert told in condition(found, "Progressing")["message"]


def test_pods_that_the_quota_refuses_are_told() -> None:
    resource = given.model_deployment()
    made = child(resource, 1)
    made["status"]["conditions"] = [
        given.condition("ReplicaFailure", message="pods is forbidden: exceeded quota")
    ]
    found = plan(resource, made, follows=version(1))

    assert condition(found, "Progressing")["reason"] == "QuotaExceeded"


def test_time_before_a_pod_had_a_node_is_not_held_against_the_digest() -> None:
    resource = given.model_deployment(status={"stable": served(1)})
    placed = given.condition("PodScheduled", lastTransitionTime=rfc3339(NOW))
    found = plan(
        resource,
        child(resource, 1, ready=1),
        child(resource, 2, age=3600),
        follows=version(2),
        pods=(pod(2, conditions=[placed]),),
    )

    assert "rejected" not in found.status
    assert found.recheck_after == timedelta(minutes=10)


def test_pods_that_are_leaving_say_nothing() -> None:
    resource = given.model_deployment()
    leaving = crashing(1, 9)
    leaving["metadata"]["deletionTimestamp"] = given.CREATED

    found = plan(resource, child(resource, 1), follows=version(1), pods=(leaving,))

    assert condition(found, "Progressing")["reason"] == "Updating"
