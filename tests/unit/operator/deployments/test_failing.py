"""A version that does not come up: what holds it up, and when it is rejected."""

from datetime import timedelta
from typing import Any

import orjson
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
from trainyard_api.moment import rfc3339
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
    assert "Rejected" in [e.reason for e in told.events]
    assert told.status["phase"] == "Degraded"


def test_what_is_rejected_goes_once_the_status_says_so() -> None:
    first = crashed(3)
    resource = given.model_deployment(status=first.status)
    then = plan(resource, child(resource, 1, ready=1), child(resource, 2), follows=version(2))

    # Gone before, it would be made anew should the status not get through.
    assert first.delete == ()
    assert [r.kind for r in then.delete] == ["Secret", "Deployment"]


@pytest.mark.parametrize(
    "reason", ["x" * 200, "no word of ours", ""], ids=["too long", "a sentence", "none"]
)
def test_a_reason_that_the_model_gives_itself_is_none_of_ours(reason: str) -> None:
    resource = given.model_deployment()
    said = orjson.dumps({"reason": reason, "message": "no"}).decode()
    told = plan(resource, child(resource, 2), follows=version(2), pods=(crashing(2, 3, said),))

    assert told.status["rejected"]["reason"] == "LoadFailed"
    assert condition(told, "Progressing")["reason"] == "LoadFailed"


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


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(given.condition("ReplicaFailure", message="exceeded quota"), id="pods"),
        pytest.param(
            given.condition(
                "Progressing", "False", "ReplicaSetCreateError", 'exceeded quota: "objects"'
            ),
            id="the set that would make them",
        ),
    ],
)
def test_pods_that_the_quota_refuses_are_told(refused: Object) -> None:
    resource = given.model_deployment()
    made = child(resource, 1)
    made["status"]["conditions"] = [refused]
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


def rolling(*pods: Object, status: Object | None = None, after: timedelta = timedelta(0)) -> Plan:
    resource = given.model_deployment(status=status or {"stable": served(1)})
    return plan(
        resource,
        child(resource, 1, ready=1),
        child(resource, 2, age=7200),
        follows=version(2),
        pods=pods,
        now=NOW + after,
    )


def running(ago: timedelta = timedelta(0)) -> Object:
    return {"running": {"startedAt": rfc3339(NOW - ago)}}


def seen_again(found: Object, *, after: timedelta) -> Plan:
    """Look at a pod, and again later."""
    return rolling(found, status=rolling(found).status, after=after)


class TestContainersOfOthers:
    proxy = given.container_status(
        "proxy", waiting={"reason": "ImagePullBackOff", "message": "not found"}
    )

    @pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
    def test_one_that_does_not_come_up_is_named_and_rejects_nothing(self, where: str) -> None:
        found = rolling(pod(2, **{where: [self.proxy]}))

        assert condition(found, "Progressing")["reason"] == "InjectedContainerFailed"
        assert "container proxy" in condition(found, "Progressing")["message"]
        assert "rejected" not in found.status

    def test_one_that_ends_is_told_with_its_own_words(self) -> None:
        ended = {"exitCode": 2, "message": "no permission"}
        seen = given.container_status("vault-init", terminated=ended)
        found = rolling(pod(2, initContainerStatuses=[seen]))

        assert "exit code 2: no permission" in condition(found, "Progressing")["message"]

    def test_one_that_is_done_is_no_failure(self) -> None:
        seen = given.container_status("vault-init", terminated={"exitCode": 0})
        found = rolling(pod(2, initContainerStatuses=[seen]))

        assert condition(found, "Progressing")["reason"] == "Updating"

    def test_ours_speaks_first(self) -> None:
        seen = crashing(2, 1, "ValueError: bad")
        seen["status"]["containerStatuses"].insert(0, self.proxy)

        assert condition(rolling(seen), "Progressing")["reason"] == "ServerCrashed"


class TestOutages:
    away = '{"reason": "TrackingUnavailable", "message": "tracking does not answer"}'

    def test_a_registry_that_is_down_rejects_nothing(self) -> None:
        seen = given.container_status("server", waiting={"reason": "ErrImagePull"})
        found = rolling(pod(2, containerStatuses=[seen]))

        assert condition(found, "Progressing")["reason"] == "ImagePullFailed"
        assert "rejected" not in found.status

    def test_a_name_that_no_image_can_have_is_no_outage(self) -> None:
        seen = given.container_status("server", waiting={"reason": "InvalidImageName"})
        found = rolling(pod(2, containerStatuses=[seen]))

        assert condition(found, "Progressing")["reason"] == "InvalidImageName"
        assert found.status["rejected"]["digest"] == digest(2)

    def test_a_server_that_waited_for_its_model_in_vain_is_not_at_fault(self) -> None:
        found = rolling(crashing(2, 9, self.away))

        assert condition(found, "Progressing")["reason"] == "TrackingUnavailable"
        assert "rejected" not in found.status

    @pytest.mark.parametrize(("minutes", "rejected"), [(9, False), (11, True)])
    def test_its_time_counts_from_the_try_after_the_outage(
        self, minutes: int, rejected: bool
    ) -> None:
        seen = crashing(2, 9, self.away)
        before = rolling(seen).status
        seen["status"]["containerStatuses"][0]["state"] = running()
        tried = rolling(seen, status=before, after=timedelta(hours=1))

        later = rolling(seen, status=tried.status, after=timedelta(hours=1, minutes=minutes))

        assert ("rejected" in later.status) == rejected

    @pytest.mark.parametrize(("minutes", "rejected"), [(9, False), (11, True)])
    def test_time_spent_pulling_the_image_is_not_held_against_it(
        self, minutes: int, rejected: bool
    ) -> None:
        pulling = given.container_status("server", waiting={"reason": "ContainerCreating"})
        before = seen_again(pod(2, containerStatuses=[pulling]), after=timedelta(hours=1))
        seen = pod(2, containerStatuses=[given.container_status("server", **running())])
        tried = rolling(seen, status=before.status, after=timedelta(hours=1))

        later = rolling(seen, status=tried.status, after=timedelta(hours=1, minutes=minutes))

        assert ("rejected" in later.status) == rejected

    @pytest.mark.parametrize("behind", [timedelta(hours=1), timedelta(0), timedelta(hours=-1)])
    @pytest.mark.parametrize(("minutes", "rejected"), [(0, False), (9, False), (10, True)])
    def test_a_nodes_clock_decides_nothing(
        self, behind: timedelta, minutes: int, rejected: bool
    ) -> None:
        seen = given.container_status("server", **running(behind))
        later = seen_again(pod(2, containerStatuses=[seen]), after=timedelta(minutes=minutes))

        assert ("rejected" in later.status) == rejected

    def test_another_try_has_its_own_time(self) -> None:
        first, second = (
            pod(2, containerStatuses=[given.container_status("server", **running(ago))])
            for ago in (timedelta(hours=1), timedelta(minutes=59))
        )
        before = rolling(first).status

        assert "rejected" not in rolling(second, status=before, after=timedelta(minutes=30)).status

    def test_a_pod_that_was_evicted_says_nothing_of_the_digest(self) -> None:
        gone = crashing(2, 9)
        gone["status"]["phase"] = "Failed"

        assert condition(rolling(gone), "Progressing")["reason"] == "Updating"


class TestServedAndFailing:
    def found(self, ready: int) -> Plan:
        resource = given.model_deployment(replicas=2, status={"stable": served(1)})
        return plan(
            resource,
            child(resource, 1, ready=ready),
            follows=version(1),
            pods=(crashing(1, 4, "Segmentation fault"),),
        )

    @pytest.mark.parametrize("ready", [0, 1])
    def test_restarts_and_the_last_crash_are_told(self, ready: int) -> None:
        message = condition(self.found(ready), "Available")["message"]

        assert f"{ready} of 2" in message
        assert "4 times" in message
        assert "Segmentation fault" in message

    def test_nothing_goes_on_serving_when_no_replica_is_ready(self) -> None:
        assert "goes on serving" not in condition(self.found(0), "Progressing")["message"]
        assert "goes on serving" in condition(self.found(1), "Progressing")["message"]


def test_all_pods_that_the_selector_covers_are_counted() -> None:
    resource = given.model_deployment(replicas=2, status={"stable": served(1)})
    found = plan(
        resource, child(resource, 1, ready=2), child(resource, 2, ready=1), follows=version(2)
    )

    assert (found.status["replicas"], found.status["readyReplicas"]) == (4, 2)
