"""From a source to a version with a digest, and what that waits for."""

import json
from datetime import timedelta
from typing import Any

import pytest
from builders import given
from builders.registry import NOW
from builders.versions import (
    FETCHED,
    RESULT,
    attempt,
    condition,
    ended,
    observed,
    plan,
    version,
)
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.plan import Plan


class TestPublishing:
    def test_it_starts_with_a_token_and_a_job_that_the_version_owns(self) -> None:
        resource = version()
        told = plan(resource, observed())

        secret, job = told.create
        mounted = [v["secret"] for v in job["spec"]["template"]["spec"]["volumes"] if "secret" in v]
        assert mounted == [{"secretName": secret["metadata"]["name"]}]
        assert job["metadata"]["name"] == "digits-1-publish"
        assert job["metadata"]["ownerReferences"][0]["uid"] == resource["metadata"]["uid"]
        assert told.status["phase"] == "Publishing"
        assert told.effects == ()

    def test_while_the_job_runs_nothing_is_made(self) -> None:
        resource = version()
        told = plan(resource, observed(attempt(resource)))

        assert (told.apply, told.create) == ((), ())
        assert condition(told)["reason"] == "Publishing"

    def test_a_token_that_somebody_deleted_is_made_again(self) -> None:
        resource = version()
        made, _ = plan(resource, observed()).create
        container = given.container_status("fetch", waiting={"reason": "PodInitializing"})
        seen = attempt(resource, init=[container])
        seen[1]["status"]["conditions"] = [
            given.condition("PodScheduled", lastTransitionTime="2026-11-24T11:00:00Z")
        ]

        assert plan(resource, observed(seen)).create == (made,)

    def test_what_the_pod_waits_for_is_told(self) -> None:
        resource = version()
        waiting = given.container_status(
            "fetch", waiting={"reason": "ErrImagePull", "message": "no"}
        )
        told = plan(resource, observed(attempt(resource, init=[waiting])))

        assert "ErrImagePull" in condition(told)["message"]

    def test_the_result_becomes_the_status(self) -> None:
        resource = version()
        done = attempt(resource, init=[ended("fetch", message=FETCHED)],
                       main=[ended("publish", message=RESULT)])  # fmt: skip
        summary = {
            "metrics": {"val_accuracy": "0.98"},
            "experiment": "digits",
            "status": "FINISHED",
        }

        told = plan(resource, observed(done, summary=summary))

        status = told.status
        assert status["phase"] == "Ready"
        assert (status["digest"], status["size"]) == (given.DIGEST, 1200)
        assert status["metrics"] == {"val_accuracy": "0.98"}
        assert json.loads(status["signature"]) == RESULT["signature"]
        assert (status["run"], status["experiment"]) == ("r", "digits")
        assert status["source"] == FETCHED["uri"]
        assert condition(told)["status"] == "True"
        assert condition(told, "Servable")["reason"] == "Compatible"
        assert [e.reason for e in told.events] == ["Published"]
        assert told.recheck_after is None

    def test_a_published_version_is_left_alone(self) -> None:
        resource = version(status=given.published())
        first = plan(resource, observed())

        assert plan({**resource, "status": first.status}, observed()) == Plan(status=first.status)

    def test_metrics_that_gates_read_come_first_when_there_are_too_many(self) -> None:
        requires = {"metric": "z", "goal": "maximize", "threshold": 1}
        judged = given.model(stages=[given.stage("production", "approval", requires)])
        summary = {"metrics": {**{f"m{n:03}": "1" for n in range(200)}, "z": "2"}}
        resource = version(status=given.published())

        told = plan(resource, observed(model=judged, summary=summary))

        assert len(told.status["metrics"]) == 100
        assert told.status["metrics"]["z"] == "2"

    def test_while_its_run_goes_on_metrics_are_read_again_for_a_while(self) -> None:
        resource = version(status=given.published())
        summary = {"metrics": {"loss": "1"}, "status": "RUNNING"}

        young = plan(resource, observed(summary=summary))
        old = plan(resource, observed(summary=summary), now=NOW + timedelta(hours=2))

        assert young.recheck_after is not None
        assert old.recheck_after is None

    def test_metrics_of_an_attempt_that_began_after_the_version_are_not_its_own(self) -> None:
        held = {**given.published(), "metrics": {"loss": "1"}}
        made = parse_time(version()["metadata"]["creationTimestamp"]).timestamp() * 1000
        loss = {
            after: plan(
                version(status=held),
                observed(summary={"metrics": {"loss": "9"}, "startTime": made + after}),
            ).status["metrics"]["loss"]
            for after in (-60_000, 60_000)
        }

        assert loss == {-60_000: "9", 60_000: "1"}

    def test_a_large_signature_becomes_a_link(self) -> None:
        resource = version()
        result = {**RESULT, "signature": {"inputs": ["x" * 5000]}}
        told = plan(resource, observed(attempt(resource, main=[ended("publish", message=result)])))

        assert json.loads(told.status["signature"]) == {"manifest": given.DIGEST}


class TestWaiting:
    @pytest.mark.parametrize(
        ("seen", "reason"),
        [
            pytest.param({"model": None}, "ModelMissing", id="for its model"),
            pytest.param({"run": None}, "SourceMissing", id="for its run to exist"),
            pytest.param({"run": given.run()}, "SourceIncomplete", id="for its run to finish"),
        ],
    )
    def test_it_waits_and_says_for_what(self, seen: dict[str, Any], reason: str) -> None:
        told = plan(version(), observed(**seen))

        assert condition(told)["reason"] == reason
        assert told.create == ()
        assert told.status["phase"] == "Pending"

    def test_a_run_that_is_gone_after_it_was_noted_is_no_obstacle(self) -> None:
        told = plan(version(status={"runID": "ab" * 16}), observed(run=None))

        assert told.create

    def test_other_sources_wait_for_no_run(self) -> None:
        source = {"mlflowRun": {"id": "ab" * 16, "artifactPath": "model"}}
        told = plan(version(source=source), observed(run=None))

        assert told.create
        assert told.status["runID"] == "ab" * 16
