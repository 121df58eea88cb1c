"""What the Run kind decides when somebody cancels or suspends."""

import pytest
from builders import given
from builders.run_plans import finished, running_status
from builders.stage import RUNNING, attempt_job, attempt_pod, decide, ended
from trainyard_operator.engine.plan import Object


class TestCancelling:
    def test_a_run_that_never_started_is_cancelled_at_once(self) -> None:
        told = decide(given.run(cancel=True))

        assert told.status["phase"] == "Cancelled"
        assert not told.create

    def test_a_running_program_is_stopped_first(self) -> None:
        run = given.run(cancel=True, status=running_status())
        told = decide(
            run, job=attempt_job(run), pod=attempt_pod(run, state=RUNNING, phase="Running")
        )

        assert finished(told)["reason"] == "Cancelling"
        assert [each.name for each in told.delete] == ["r-a1"]

    def test_once_it_has_stopped_the_run_is_cancelled(self) -> None:
        run = given.run(cancel=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(143), deleting=True))

        assert finished(told)["reason"] == "Cancelled"
        assert told.status["attempts"][0]["exitCode"] == 143

    def test_a_program_that_came_to_its_end_first_has_succeeded(self) -> None:
        run = given.run(cancel=True, status=running_status())
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(0)))

        assert told.status["phase"] == "Succeeded"

    def test_a_program_that_left_with_0_because_it_was_told_to_is_cancelled(self) -> None:
        run = given.run(cancel=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(0), deleting=True))

        assert finished(told)["reason"] == "Cancelled"
        assert told.status["attempts"][0]["exitCode"] == 0

    def test_a_pod_on_a_lost_node_is_not_waited_for(self) -> None:
        run = given.run(cancel=True, status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running", deleting=True)

        assert decide(run, pod=pod).status["phase"] == "Cancelled"

    @pytest.mark.parametrize("status", [running_status(), None], ids=["it ran", "it waited"])
    @pytest.mark.parametrize("field", ["cancel", "suspend"])
    def test_a_job_that_failed_for_want_of_its_pod_is_not_waited_for(
        self, field: str, status: Object | None
    ) -> None:
        run = given.run(status=status, **{field: True})
        job = attempt_job(run, conditions=[given.condition("Failed")])

        told = decide(run, job=job)
        assert told.status["phase"] == ("Cancelled" if field == "cancel" else "Suspended")


class TestSuspending:
    def test_a_suspended_run_makes_no_job(self) -> None:
        told = decide(given.run(suspend=True))

        assert told.status["phase"] == "Suspended"
        assert not told.create

    def test_a_running_program_is_stopped(self) -> None:
        run = given.run(suspend=True, status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        noted = decide(run, job=attempt_job(run), pod=pod)
        run = given.run(suspend=True, status=noted.status)
        told = decide(run, job=attempt_job(run), pod=pod)

        assert finished(noted)["reason"] == finished(told)["reason"] == "Suspending"
        assert not noted.delete
        assert told.delete

    def test_a_run_that_is_resumed_meanwhile_has_suspended_it_and_goes_on(self) -> None:
        run = given.run(suspend=True, status=running_status(), retry={"infrastructure": 0})
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        noted = decide(run, job=attempt_job(run), pod=pod)
        resumed = given.run(status=noted.status, retry={"infrastructure": 0})
        stopping = decide(resumed, job=attempt_job(run), pod=pod)
        ended_pod = attempt_pod(run, state=ended(143), deleting=True)
        told = decide(resumed, pod=ended_pod)
        next_one = decide(given.run(status=told.status))

        assert [each.name for each in stopping.delete] == ["r-a1"]
        assert told.status["attempts"][0]["reason"] == "Suspended"
        assert finished(told)["reason"] == "Pending"
        assert next_one.create[-1]["metadata"]["name"] == "r-a2"

    def test_a_program_that_never_started_is_deleted_at_once(self) -> None:
        run = given.run(suspend=True)
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run))

        assert told.delete
        assert "attempts" not in told.status

    def test_a_program_that_left_with_0_because_it_was_told_to_is_suspended(self) -> None:
        run = given.run(suspend=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(0), deleting=True))

        assert told.status["phase"] == "Suspended"
        assert told.status["attempts"][0]["reason"] == "Suspended"

    def test_its_attempt_ends_and_counts_for_no_retry(self) -> None:
        run = given.run(suspend=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(143), deleting=True))
        resumed = given.run(status=told.status)

        assert told.status["attempts"][0]["reason"] == "Suspended"
        assert decide(resumed).create[-1]["metadata"]["name"] == "r-a2"
