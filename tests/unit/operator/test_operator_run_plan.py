"""What the Run kind decides, situation by situation."""

from datetime import timedelta
from typing import Any

import gen
import pytest
from gen_operator import (
    RUNNING,
    SETTINGS,
    attempt_job,
    attempt_pod,
    condition_of,
    decide,
    ended,
    waiting,
)
from trainyard_operator import calls
from trainyard_operator.errors import Retry, Terminal
from trainyard_operator.kinds.run import KIND, plan, refused
from trainyard_operator.observed_run import Observed
from trainyard_operator.plan import Object, Plan

LATER = timedelta(minutes=1)


def finished(plan: Plan) -> Object:
    return condition_of(plan, "Finished")


def kinds_of(things: tuple[Any, ...]) -> list[str]:
    return [type(each).__name__ for each in things]


def attempt(number: int = 1, **more: Any) -> Object:
    return {"number": number, "job": f"r-a{number}", "pod": f"r-a{number}-0-x"} | more


def running_status(**more: Any) -> Object:
    entry = attempt(startTime="2026-11-24T12:59:00Z")
    return {"phase": "Running", "attempts": [entry], "attemptCount": 1} | more


def ended_status(reason: str = "Completed", phase: str = "Succeeded", **more: Any) -> Object:
    at = "2026-11-24T12:59:30Z"
    return {
        "phase": phase,
        "attempts": [attempt(completionTime=at, reason=reason)],
        "completionTime": at,
        "conditions": [gen.condition("Finished"), gen.condition("Recorded", "False", "Recording")],
    } | more


class TestStarting:
    def test_a_new_run_gets_a_record_a_secret_and_a_job(self) -> None:
        told = decide(gen.run())

        assert kinds_of(told.effects) == ["RecordRun"]
        assert [each["kind"] for each in told.apply] == ["Secret"]
        assert [each["metadata"]["name"] for each in told.create] == ["r-a1"]

    def test_it_says_nothing_in_its_first_moments(self) -> None:
        young = gen.run(metadata={"creationTimestamp": "2026-11-24T12:59:59Z"})

        assert decide(young).status == {}
        assert decide(young).recheck_after is not None

    def test_the_token_is_the_same_every_time(self) -> None:
        assert decide(gen.run()).apply == decide(gen.run(), after=LATER).apply

    def test_an_unknown_runtime_is_the_users_to_mend(self) -> None:
        with pytest.raises(Terminal) as raised:
            decide(gen.run(runtime="sklaern"))

        assert raised.value.reason == "InvalidSpec"
        assert "sklearn" in raised.value.message

    def test_a_run_that_is_being_deleted_starts_nothing(self) -> None:
        told = decide(gen.run(metadata={"deletionTimestamp": gen.CREATED}))

        assert not told.create

    def test_the_next_attempt_waits_for_its_pause(self) -> None:
        at = "2026-11-24T13:00:00Z"
        run = gen.run(status={"phase": "Retrying", "attempts": [attempt(completionTime=at)]})

        assert decide(run).recheck_after == timedelta(seconds=2)
        assert [j["metadata"]["name"] for j in decide(run, after=LATER).create] == ["r-a2"]

    def test_the_next_attempt_waits_for_a_pod_of_the_last_one_that_still_runs(self) -> None:
        at = "2026-11-24T12:00:00Z"
        run = gen.run(status={"attempts": [attempt(completionTime=at, reason="PodLost")]})
        lingering = attempt_pod(run, state=RUNNING, phase="Running")
        told = decide(run, lingering=lingering)
        given_up = attempt_pod(run, state=RUNNING, phase="Running", deleting=True)

        assert not told.create
        assert decide(run, lingering=given_up).create

    def test_a_job_of_the_last_attempt_that_goes_on_is_deleted_first(self) -> None:
        at = "2026-11-24T12:00:00Z"
        run = gen.run(status={"attempts": [attempt(completionTime=at, reason="Evicted")]})
        told = decide(run, jobs=(attempt_job(run),))

        assert [each.name for each in told.delete] == ["r-a1"]


class TestWaiting:
    def test_a_wait_is_told_with_its_reason(self) -> None:
        run = gen.run()
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run))

        assert told.status["phase"] == "Pending"
        assert finished(told)["reason"] == "Starting"

    def test_what_waiting_can_mend_never_ends(self) -> None:
        run = gen.run()
        pod = attempt_pod(run, state=waiting("ErrImagePull", "i/o timeout"))
        told = decide(run, job=attempt_job(run), pod=pod, after=timedelta(days=9))

        assert finished(told)["status"] == "False"

    def test_what_the_user_must_mend_ends_the_run_and_deletes_the_job(self) -> None:
        run = gen.run()
        pod = attempt_pod(run, state=waiting("ErrImagePull", "manifest unknown"))
        told = decide(run, job=attempt_job(run), pod=pod, after=LATER)

        assert finished(told)["reason"] == "ImagePullFailed"
        assert told.status["phase"] == "Failed"
        assert [each.name for each in told.delete] == ["r-a1"]
        assert kinds_of(told.events) == ["Event"]

    def test_an_unschedulable_pod_names_what_is_short(self) -> None:
        run = gen.run()
        short = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod = attempt_pod(run, conditions=[short], limits={"cpu": "900"})
        node = gen.thing("v1", "Node", "n", status={"allocatable": {"cpu": "2"}})
        told = decide(run, job=attempt_job(run), pod=pod, nodes=(node,))

        assert "cpu 900 asked for: the largest node, n, has 2" in finished(told)["message"]

    def test_a_job_that_gets_no_pod_is_explained(self) -> None:
        run = gen.run()
        told = decide(run, job=attempt_job(run), warnings=("FailedCreate: exceeded quota: q",))

        assert finished(told)["reason"] == "QuotaExceeded"

    def test_a_token_that_somebody_deleted_is_written_again(self) -> None:
        run = gen.run()
        state = waiting("CreateContainerConfigError", 'secret "r-token" not found')
        pod = attempt_pod(run, state=state, startTime="2026-11-24T13:00:00Z")
        told = decide(run, job=attempt_job(run), pod=pod)

        assert [each["kind"] for each in told.apply] == ["Secret"]

    def test_a_retry_that_starts_says_no_more_than_before(self) -> None:
        at = "2026-11-24T12:00:00Z"
        status = {"phase": "Retrying", "attempts": [attempt(completionTime=at, reason="Evicted")]}
        run = gen.run(status=status)

        assert decide(run, job=attempt_job(run, 2), pod=attempt_pod(run, 2)).status == status


class TestRunning:
    def test_a_running_program_is_told_and_its_log_followed(self) -> None:
        run = gen.run()
        pod = attempt_pod(
            run, state=RUNNING, phase="Running", source=ended(0, message='{"commit": "c"}')
        )
        told = decide(run, job=attempt_job(run), pod=pod)

        assert told.status["phase"] == "Running"
        assert told.status["attempts"][0]["pod"] == "r-a1-0-x"
        assert told.status["commit"] == "c"
        assert told.status["runID"] == run["metadata"]["uid"].replace("-", "")
        assert kinds_of(told.effects) == ["FollowLog", "RecallExperiment"]

    def test_a_program_that_runs_on_changes_nothing(self) -> None:
        run = gen.run()
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        first = decide(run, job=attempt_job(run), pod=pod)
        held = gen.run(status=first.status)

        assert decide(held, job=attempt_job(run), pod=pod, after=LATER).status == first.status

    def test_a_program_over_its_time_is_stopped(self) -> None:
        run = gen.run(timeout="30s", status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        told = decide(run, job=attempt_job(run), pod=pod)

        assert finished(told)["reason"] == "TimedOut"
        assert "30s" in finished(told)["message"]
        assert [each.name for each in told.delete] == ["r-a1"]

    def test_a_program_is_looked_at_again_when_its_time_is_over(self) -> None:
        run = gen.run(timeout="90s")
        pod = attempt_pod(run, state=RUNNING, phase="Running")

        assert decide(run, job=attempt_job(run), pod=pod).recheck_after == timedelta(seconds=30)

    def test_a_run_id_once_written_wins(self) -> None:
        run = gen.run(status={"runID": "f" * 32})
        pod = attempt_pod(run, state=RUNNING, phase="Running")

        assert decide(run, job=attempt_job(run), pod=pod).status["runID"] == "f" * 32


class TestEnding:
    def test_a_success_is_final_without_an_event(self) -> None:
        run = gen.run(status=running_status())
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(0)))

        assert told.status["phase"] == "Succeeded"
        assert told.status["duration"] == "30s"
        assert condition_of(told, "Succeeded")["status"] == "True"
        assert condition_of(told, "Recorded")["reason"] == "Recording"
        assert not told.events

    def test_a_failure_has_its_code_and_last_lines(self) -> None:
        run = gen.run(status=running_status())
        pod = attempt_pod(run, state=ended(3, message="one\ntwo\n"))
        told = decide(run, job=attempt_job(run), pod=pod)
        entry = told.status["attempts"][0]

        assert (entry["exitCode"], entry["logTail"]) == (3, ["one", "two"])
        assert condition_of(told, "Succeeded")["reason"] == "ExitCode"
        assert [event.reason for event in told.events] == ["ExitCode"]

    def test_a_failure_that_may_be_tried_again_is_not_final(self) -> None:
        run = gen.run(status=running_status(), retry={"userError": 1})
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(3)))

        assert told.status["phase"] == "Retrying"
        assert finished(told)["status"] == "False"
        assert told.recheck_after == timedelta(seconds=2)

    def test_a_job_that_is_gone_is_the_clusters_fault(self) -> None:
        run = gen.run(status=running_status(), retry={"infrastructure": 0})
        told = decide(run)

        assert finished(told)["reason"] == "PodLost"

    def test_a_job_that_failed_without_a_pod_lost_it(self) -> None:
        run = gen.run(retry={"infrastructure": 0})
        failed = attempt_job(run, conditions=[{"type": "Failed", "status": "True"}])

        assert finished(decide(run, job=failed))["reason"] == "PodLost"

    def test_only_the_last_ten_attempts_are_listed(self) -> None:
        at = "2026-11-24T12:00:00Z"
        past = [attempt(n, completionTime=at, reason="ExitCode") for n in range(1, 11)]
        run = gen.run(status={"attempts": past}, retry={"userError": 50})
        told = decide(run, job=attempt_job(run, 11), pod=attempt_pod(run, 11, state=ended(3)))

        assert [each["number"] for each in told.status["attempts"]] == list(range(2, 12))
        assert told.status["attemptCount"] == 11


class TestCancelling:
    def test_a_run_that_never_started_is_cancelled_at_once(self) -> None:
        told = decide(gen.run(cancel=True))

        assert told.status["phase"] == "Cancelled"
        assert not told.create

    def test_a_running_program_is_stopped_first(self) -> None:
        run = gen.run(cancel=True, status=running_status())
        told = decide(
            run, job=attempt_job(run), pod=attempt_pod(run, state=RUNNING, phase="Running")
        )

        assert finished(told)["reason"] == "Cancelling"
        assert [each.name for each in told.delete] == ["r-a1"]

    def test_once_it_has_stopped_the_run_is_cancelled(self) -> None:
        run = gen.run(cancel=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(143), deleting=True))

        assert finished(told)["reason"] == "Cancelled"
        assert told.status["attempts"][0]["exitCode"] == 143

    def test_a_program_that_came_to_its_end_first_has_succeeded(self) -> None:
        run = gen.run(cancel=True, status=running_status())
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(0)))

        assert told.status["phase"] == "Succeeded"

    def test_a_pod_on_a_lost_node_is_not_waited_for(self) -> None:
        run = gen.run(cancel=True, status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running", deleting=True)

        assert decide(run, pod=pod).status["phase"] == "Cancelled"


class TestSuspending:
    def test_a_suspended_run_makes_no_job(self) -> None:
        told = decide(gen.run(suspend=True))

        assert told.status["phase"] == "Suspended"
        assert not told.create

    def test_a_running_program_is_stopped(self) -> None:
        run = gen.run(suspend=True, status=running_status())
        told = decide(
            run, job=attempt_job(run), pod=attempt_pod(run, state=RUNNING, phase="Running")
        )

        assert finished(told)["reason"] == "Suspending"
        assert told.delete

    def test_its_attempt_ends_and_counts_for_no_retry(self) -> None:
        run = gen.run(suspend=True, status=running_status())
        told = decide(run, pod=attempt_pod(run, state=ended(143), deleting=True))
        resumed = gen.run(status=told.status)

        assert told.status["attempts"][0]["reason"] == "Suspended"
        assert [job["metadata"]["name"] for job in decide(resumed).create] == ["r-a2"]


class TestRecording:
    def test_the_log_is_archived_and_the_record_closed(self) -> None:
        run = gen.run(status=ended_status())
        told = decide(run, pod=attempt_pod(run, state=ended(0)))

        assert kinds_of(told.effects) == ["ArchiveLog", "FinishRun"]
        assert condition_of(told, "Recorded")["status"] == "True"

    @pytest.mark.parametrize(
        ("phase", "outcome"),
        [("Succeeded", "FINISHED"), ("Failed", "FAILED"), ("Cancelled", "KILLED")],
    )
    def test_the_record_has_mlflows_word_for_the_outcome(self, phase: str, outcome: str) -> None:
        effects = decide(gen.run(status=ended_status(phase=phase))).effects
        done = next(each for each in effects if isinstance(each, calls.FinishRun))

        assert done.outcome == outcome

    def test_a_success_registers_its_model(self) -> None:
        run = gen.run(status=ended_status(), register={"model": "digits"})

        assert kinds_of(decide(run).effects)[-1] == "CreateVersion"

    def test_a_failure_registers_nothing(self) -> None:
        run = gen.run(status=ended_status(phase="Failed"), register={"model": "digits"})

        assert "CreateVersion" not in kinds_of(decide(run).effects)

    def test_a_run_that_never_started_gets_a_record_too(self) -> None:
        run = gen.run(status=ended_status(attempts=[]))

        assert kinds_of(decide(run).effects) == ["RecordRun", "FinishRun"]

    def test_a_lost_pods_log_says_that_something_may_be_missing(self) -> None:
        effect = decide(gen.run(status=ended_status("PodLost"))).effects[0]

        assert isinstance(effect, calls.ArchiveLog)
        assert effect.log.cut

    def test_final_is_final(self) -> None:
        done = [gen.condition("Finished"), gen.condition("Recorded")]
        status = ended_status(conditions=done)
        told = decide(gen.run(status=status, cancel=True))

        assert told == Plan(status=status)

    def test_a_sidecar_that_never_exits_is_stopped(self) -> None:
        done = [gen.condition("Finished"), gen.condition("Recorded")]
        run = gen.run(status=ended_status(conditions=done))
        told = decide(run, jobs=(attempt_job(run),), after=LATER)

        assert [each.name for each in told.delete] == ["r-a1"]

    def test_children_go_once_their_time_is_over(self) -> None:
        done = [gen.condition("Finished"), gen.condition("Recorded")]
        run = gen.run(status=ended_status(conditions=done), ttlSecondsAfterFinished=60)
        job = attempt_job(run, conditions=[{"type": "Complete", "status": "True"}])

        assert decide(run, jobs=(job,)).recheck_after == timedelta(seconds=30)
        told = decide(run, jobs=(job,), after=LATER)
        assert [each.name for each in told.delete] == ["r-token", "r-a1"]
        assert not decide(run, after=LATER).delete


class TestFailedSteps:
    def test_a_service_that_is_down_is_waited_for(self) -> None:
        error = Retry("TrackingUnavailable", "down")
        status = refused(gen.run(), {}, error=error, condition="Finished", now=gen.NOW)
        told = Plan(status=status)

        assert finished(told)["reason"] == "TrackingUnavailable"
        assert status["phase"] == "Pending"

    def test_what_the_user_must_change_ends_the_run(self) -> None:
        error = Terminal("InvalidSpec", "spec.x: change it")
        status = refused(gen.run(), {}, error=error, condition="Finished", now=gen.NOW)

        assert status["phase"] == "Failed"
        assert finished(Plan(status=status))["reason"] == "InvalidSpec"

    def test_recording_that_fails_changes_no_outcome(self) -> None:
        held = ended_status()
        error = Terminal("NoModelLogged", "log one")
        status = refused(gen.run(status=held), held, error=error, condition="Recorded", now=gen.NOW)

        assert status["phase"] == "Succeeded"
        told = condition_of(Plan(status=status), "Recorded")
        assert (told["status"], told["reason"]) == ("True", "NoModelLogged")

    def test_a_service_that_is_down_puts_recording_off(self) -> None:
        held = ended_status()
        error = Retry("TrackingUnavailable", "down")
        status = refused(gen.run(status=held), held, error=error, condition="Recorded", now=gen.NOW)

        assert condition_of(Plan(status=status), "Recorded")["status"] == "False"


def test_the_kind_plans_with_this_plan() -> None:
    assert KIND.plan is plan
    assert KIND.plan(gen.run(), Observed(), now=gen.NOW, settings=SETTINGS).create
