"""Publishing that fails: what is final, what is tried again."""

from datetime import datetime, timedelta

import pytest
from builders import given
from builders.registry import NOW
from builders.versions import RESULT, attempt, condition, ended, observed, plan, version
from trainyard_api.moment import rfc3339
from trainyard_operator import names
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.plan import Object, Plan, Ref
from trainyard_operator.finalizers.effects import Hold
from trainyard_operator.versions import attempts
from trainyard_operator.versions import plan as kind


def test_a_format_that_is_not_allowed_is_final_at_once() -> None:
    resource = version()
    refusal = {"reason": "FormatNotAllowed", "message": "the model is in the format sklearn"}
    failed = attempt(resource, init=[ended("fetch"), ended("convert", 3, refusal)])

    told = plan(resource, observed(failed))

    assert told.status["phase"] == "Rejected"
    assert condition(told)["reason"] == "FormatNotAllowed"
    assert "sklearn" in condition(told)["message"]
    assert [e.type for e in told.events] == ["Warning"]


@pytest.mark.parametrize("reason", ["TooLarge", "ContentRefused"])
def test_what_the_tracking_service_says_of_the_files_is_final_until_it_is_mended(
    reason: str,
) -> None:
    resource = version()
    said = {"reason": reason, "message": "weights: more than tracking.largestFile"}
    seen = attempt(resource, main=[ended("publish", 3, said)])

    told = plan(resource, observed(seen))
    again = plan(version(status=told.status, retry=1), observed(seen))

    assert told.status["phase"] == "Rejected"
    assert condition(told)["reason"] == "PublishFailed"
    assert condition(told)["message"] == (
        "publish: weights: more than tracking.largestFile; once that is mended, change spec.retry"
    )
    assert again.create[-1]["metadata"]["name"] == "digits-1-publish-2"


def test_a_source_that_is_refused_needs_another_version() -> None:
    resource = version()
    said = {"reason": "ContentRefused", "message": "s3://a/b is outside of the store"}

    told = plan(resource, observed(attempt(resource, init=[ended("fetch", 3, said)])))

    assert condition(told)["message"] == (
        "fetch: s3://a/b is outside of the store; once that is mended, make another version"
    )


def test_a_container_that_was_killed_for_memory_says_so() -> None:
    resource = version()
    killed = ended("convert", 137, "flavors: sklearn\n")
    killed["state"]["terminated"]["reason"] = "OOMKilled"

    told = plan(resource, observed(attempt(resource, init=[ended("fetch"), killed])))

    assert "convert: it was killed for memory: raise agent.resources" in condition(told)["message"]


def test_what_was_rejected_stays_so() -> None:
    rejected = {"phase": "Rejected"}

    assert plan(version(status=rejected), observed()) == Plan(status=rejected)


def test_an_outage_is_tried_again_after_a_pause_with_another_job() -> None:
    resource = version()
    away = {"reason": "TrackingUnavailable", "message": "did not answer for 600 s"}
    early = attempt(resource, init=[ended("fetch", 4, away, ago=5)])
    late = attempt(resource, init=[ended("fetch", 4, away, ago=60)])

    waits, goes = plan(resource, observed(early)), plan(resource, observed(late))

    assert waits.create == ()
    assert waits.recheck_after == timedelta(seconds=5)
    assert goes.create[-1]["metadata"]["name"] == "digits-1-publish-2"


@pytest.mark.parametrize("behind", [timedelta(hours=1), timedelta(hours=-1)])
def test_the_pause_is_not_by_the_clock_of_a_node(behind: timedelta) -> None:
    resource = version()
    told = ended("fetch", 4, "down", ago=behind.total_seconds())
    ends = {
        ago: [given.condition("Failed", lastTransitionTime=rfc3339(NOW - timedelta(seconds=ago)))]
        for ago in (4, 10)
    }
    ending = attempt(resource, init=[told], conditions=[])
    early, late = (attempt(resource, init=[told], conditions=end) for end in ends.values())

    waits, soon, goes = (plan(resource, observed(seen)) for seen in (ending, early, late))

    assert (waits.create, waits.recheck_after) == ((), timedelta(seconds=10))
    assert (soon.create, soon.recheck_after) == ((), timedelta(seconds=6))
    assert goes.create[-1]["metadata"]["name"] == "digits-1-publish-2"


@pytest.mark.parametrize("labels", [{}, {names.ATTEMPT: "x"}, {names.ATTEMPT: "7"}])
def test_an_attempt_is_known_by_its_jobs_name(labels: dict[str, str]) -> None:
    resource = version()
    job, pod = attempt(resource, 2, init=[ended("fetch", 4, "down")])
    job["metadata"]["labels"] = labels

    told = plan(resource, observed((job, pod)))

    assert told.create[-1]["metadata"]["name"] == "digits-1-publish-3"


def test_a_version_of_a_long_name_knows_its_attempts() -> None:
    resource = given.model_version("m" * 58)
    told = plan(resource, observed(attempt(resource, 3, init=[ended("fetch", 4, "down")])))

    assert told.create[-1]["metadata"]["name"] == names.publish_job(f"{'m' * 58}-1", 4)


def test_a_job_that_is_no_attempt_counts_for_none() -> None:
    resource = version()
    job, pod = attempt(resource)
    job["metadata"]["name"] = "somebodys"

    told = plan(resource, observed((job, pod)))

    assert told.create[-1]["metadata"]["name"] == "digits-1-publish"


def failed(resource: Object, number: int) -> tuple[Object, Object]:
    return attempt(resource, number, main=[ended("publish", 4, "boom", ago=600)])


def five_failures(resource: Object) -> tuple[tuple[Object, Object], ...]:
    return tuple(failed(resource, n + 1) for n in range(attempts.ATTEMPTS))


def test_pauses_grow_and_end() -> None:
    resource = version()

    told = plan(resource, observed(*five_failures(resource)))

    assert told.status["phase"] == "Rejected"
    assert condition(told)["reason"] == "PublishFailed"
    assert "boom" in condition(told)["message"]


def test_a_new_retry_tries_again_from_the_start() -> None:
    resource = version()
    seen = five_failures(resource)
    rejected = plan(resource, observed(*seen)).status

    still = plan(version(status=rejected), observed(*seen))
    again = plan(version(status=rejected, retry=1), observed(*seen))
    later = version(status=again.status, retry=1)
    second = plan(later, observed(*seen, failed(later, 6)))

    assert still.create == ()
    assert again.create[-1]["metadata"]["name"] == "digits-1-publish-6"
    assert again.status["phase"] == "Publishing"
    assert second.create[-1]["metadata"]["name"] == "digits-1-publish-7"


def test_a_refusal_of_the_files_is_not_tried_again() -> None:
    told = [given.condition("Published", "False", "FormatNotAllowed")]
    rejected = {"phase": "Rejected", "conditions": told}

    assert plan(version(status=rejected, retry=1), observed()) == Plan(status=rejected)


WAITS = given.container_status("fetch", waiting={"reason": "PodInitializing"})
SIDECAR = given.container_status("mesh", running={"startedAt": "2026-11-24T12:00:01Z"})
RUNS = given.container_status("fetch", running={"startedAt": "2026-11-24T12:00:01Z"})
LATER = parse_time(given.CREATED) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("init", "now", "remade"),
    [
        pytest.param((WAITS,), LATER, True, id="its image does not come"),
        pytest.param((), LATER, True, id="no node has room"),
        pytest.param((SIDECAR, WAITS), LATER, True, id="all but a policy's container waits"),
        pytest.param((), LATER - timedelta(seconds=1), False, id="not for long yet"),
        pytest.param((RUNS,), LATER, False, id="it fetches"),
        pytest.param((ended("fetch"), WAITS), LATER, False, id="it has fetched"),
    ],
)
def test_a_job_that_starts_nothing_for_an_hour_is_made_anew(
    init: tuple[Object, ...], now: datetime, *, remade: bool
) -> None:
    resource = version()
    seen = attempt(resource, 2, init=init)

    told = plan(resource, observed(seen), now=now)

    assert told.delete == ((Ref.of(seen[0]),) if remade else ())
    assert told.create == ()
    assert told.status["phase"] == "Publishing"


def test_a_job_that_gets_no_pod_for_an_hour_is_made_anew_once_it_is_gone() -> None:
    resource = version()
    job, _ = attempt(resource)

    told = plan(resource, observed(jobs=(job,)), now=LATER)
    job["metadata"]["deletionTimestamp"] = given.CREATED
    goes = plan(resource, observed(jobs=(job,)), now=LATER)
    gone = plan(resource, observed(), now=LATER)

    assert [ref.name for ref in told.delete] == ["digits-1-publish"]
    assert (goes.delete, goes.create) == ((), ())
    assert gone.create[-1]["metadata"]["name"] == "digits-1-publish"


@pytest.mark.parametrize(
    ("suspend", "started", "is_remade"),
    [
        pytest.param(True, None, False, id="it has its place in a queue"),
        pytest.param(False, rfc3339(LATER - timedelta(minutes=59)), False, id="it left it lately"),
        pytest.param(False, rfc3339(LATER - timedelta(hours=1)), True, id="and long ago"),
    ],
)
def test_the_time_in_which_a_job_is_suspended_does_not_count(
    suspend: bool, started: str | None, is_remade: bool
) -> None:
    resource = version()
    job, _ = attempt(resource, **({"startTime": started} if started else {}))
    job["spec"]["suspend"] = suspend
    told = plan(resource, observed(jobs=(job,)), now=LATER + timedelta(seconds=1))

    assert bool(told.delete) is is_remade
    assert ("suspended by another controller" in condition(told)["message"]) is suspend


def test_a_container_of_a_policy_that_ends_by_a_signal_undoes_no_publishing() -> None:
    resource = version()
    seen = attempt(resource, init=[ended("mesh", 143)], main=[ended("publish", 0, RESULT)])

    assert plan(resource, observed(seen)).status["phase"] == "Ready"


@pytest.mark.parametrize(("phase", "started"), [("Running", False), ("Failed", True)])
def test_a_container_of_a_policy_that_fails_ends_an_attempt_with_its_pod(
    phase: str, started: bool
) -> None:
    resource = version()
    is_over = {} if started else {"conditions": []}
    job, pod = attempt(resource, init=[ended("mesh", 1, ago=60), RUNS], **is_over)
    pod["status"]["phase"] = phase
    told = plan(resource, observed((job, pod)))

    assert bool(told.create) is started


def test_a_job_with_a_pod_that_is_not_seen_is_left_to_it() -> None:
    resource = version()
    job, _ = attempt(resource, active=1)

    assert plan(resource, observed(jobs=(job,)), now=LATER).delete == ()


def test_tries_are_counted_after_the_jobs_of_the_first_are_gone() -> None:
    resource = version()

    told = plan(resource, observed(failed(resource, attempts.ATTEMPTS)))

    assert told.status["phase"] == "Rejected"


def test_a_pod_that_is_refused_is_told_in_the_clusters_words() -> None:
    resource = version()
    job, _ = attempt(resource)
    said = ("FailedCreate: exceeded quota: compute, limited: limits.cpu",)

    told = plan(resource, observed(jobs=(job,), warnings=said))

    assert condition(told)["message"] == f"Waiting: {said[0]}"


def test_a_missing_source_may_only_be_late() -> None:
    resource = version()
    gone = {"reason": "SourceMissing", "message": "no such run"}
    told = plan(resource, observed(attempt(resource, init=[ended("fetch", 2, gone)])))

    assert told.create[-1]["metadata"]["name"] == "digits-1-publish-2"


def test_a_folder_without_mlmodel_is_final() -> None:
    resource = version()
    gone = {"reason": "SourceMissing", "message": "the source has no MLmodel file"}
    told = plan(resource, observed(attempt(resource, init=[ended("convert", 2, gone)])))

    assert condition(told)["reason"] == "SourceMissing"
    assert told.status["phase"] == "Rejected"


@pytest.mark.parametrize(("ago", "started"), [(5, 0), (120, 1)])
def test_a_job_whose_pod_is_gone_is_given_a_moment_then_tried_again(ago: int, started: int) -> None:
    resource = version()
    end = given.condition("Complete", lastTransitionTime=rfc3339(NOW - timedelta(seconds=ago)))
    job, _ = attempt(resource, conditions=[end])

    told = plan(resource, observed(jobs=(job,)))

    assert [each["kind"] for each in told.create].count("Job") == started


def test_a_spent_number_is_refused() -> None:
    spent = given.model(status={"retired": 1, "retiredVersions": [1]})
    told = plan(given.model_version(metadata={"finalizers": []}), observed(model=spent))

    assert condition(told)["reason"] == "NumberUsed"
    assert [type(e) for e in told.effects] == [Hold]


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (given.published(), True),
        ({"phase": "Rejected"}, True),
        ({"phase": "Publishing"}, False),
        ({"phase": "Ready"}, False),  # as a step that failed would leave it
        ({}, False),
    ],
)
def test_a_version_is_settled_once_published_or_rejected(status: Object, *, settled: bool) -> None:
    assert kind.is_settled(status) is settled
