"""What the Run kind decides while the program runs, and when it has ended."""

from datetime import timedelta

import pytest
from builders import given
from builders.run_plans import LATER, attempt, finished, kinds_of, running_status
from builders.stage import RUNNING, attempt_job, attempt_pod, condition_of, decide, ended
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.effects import FollowLog


class TestRunning:
    def test_a_running_program_is_told_and_its_log_followed(self) -> None:
        run = given.run()
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
        run = given.run()
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        first = decide(run, job=attempt_job(run), pod=pod)
        held = given.run(status=first.status)

        assert decide(held, job=attempt_job(run), pod=pod, after=LATER).status == first.status

    def test_a_program_over_its_time_is_stopped(self) -> None:
        run = given.run(timeout="30s", status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        noted = decide(run, job=attempt_job(run), pod=pod)
        run = given.run(timeout="30s", status=noted.status)
        told = decide(run, job=attempt_job(run), pod=pod)

        assert not noted.delete
        assert finished(told)["reason"] == "TimedOut"
        assert "30s" in finished(told)["message"]
        assert [each.name for each in told.delete] == ["r-a1"]

    def test_a_program_that_was_over_its_time_is_not_lost_once_its_job_is_gone(self) -> None:
        run = given.run(timeout="30s", status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        noted = decide(run, job=attempt_job(run), pod=pod)
        told = decide(given.run(timeout="30s", status=noted.status))

        assert finished(told)["reason"] == "TimedOut"
        assert len(told.status["attempts"]) == 1

    @pytest.mark.parametrize("nodes_time", ["2026-11-24T12:54:00Z", "2026-11-24T14:00:00Z"])
    def test_its_time_begins_when_it_is_first_seen_whatever_the_nodes_clock_says(
        self, nodes_time: str
    ) -> None:
        run = given.run(timeout="5m")
        pod = attempt_pod(run, state={"running": {"startedAt": nodes_time}}, phase="Running")
        first = decide(run, job=attempt_job(run), pod=pod)
        held = given.run(timeout="5m", status=first.status)
        again = decide(held, job=attempt_job(run), pod=pod, after=timedelta(minutes=4))
        noted = decide(held, job=attempt_job(run), pod=pod, after=timedelta(minutes=5))
        over = given.run(timeout="5m", status=noted.status)
        late = decide(over, job=attempt_job(run), pod=pod, after=timedelta(minutes=5))

        assert first.recheck_after == timedelta(minutes=5)
        assert again.recheck_after == timedelta(minutes=1)
        assert finished(late)["reason"] == "TimedOut"

    def test_a_run_id_once_written_wins(self) -> None:
        run = given.run(status={"runID": "f" * 32})
        pod = attempt_pod(run, state=RUNNING, phase="Running")

        assert decide(run, job=attempt_job(run), pod=pod).status["runID"] == "f" * 32


class TestQueueing:
    """Somebody else, such as Kueue, suspends the Job to give its place to another."""

    def test_a_place_that_is_taken_back_counts_against_nobody(self) -> None:
        run = given.run(status=running_status(), retry={"infrastructure": 0})
        job = attempt_job(run)
        job["spec"]["suspend"] = True
        pod = attempt_pod(run, state=ended(143), deleting=True)
        noted = decide(run, job=job, pod=pod)
        run = given.run(status=noted.status, retry={"infrastructure": 0})
        told = decide(run, job=job, pod=pod)

        assert not noted.delete
        assert told.status["attempts"][0]["exitCode"] == 143
        assert told.status["phase"] == "Retrying"
        assert told.status["attempts"][0]["reason"] == "Preempted"
        assert not any(told.status["retries"].values())
        # It would make another pod beside the next attempt's.
        assert [each.name for each in told.delete] == ["r-a1"]

    def test_nor_does_one_whose_pod_is_gone_already(self) -> None:
        run = given.run(status=running_status(), retry={"infrastructure": 0})
        job = attempt_job(run)
        job["spec"]["suspend"] = True

        assert decide(run, job=job).status["attempts"][0]["reason"] == "Preempted"

    def test_nor_is_it_lost_once_its_job_is_deleted(self) -> None:
        run = given.run(status=running_status(), retry={"infrastructure": 0})
        job = attempt_job(run)
        job["spec"]["suspend"] = True
        noted = decide(run, job=job)
        told = decide(given.run(status=noted.status, retry={"infrastructure": 0}))

        assert told.status["phase"] == "Retrying"
        assert told.status["attempts"][0]["reason"] == "Preempted"

    def test_a_program_that_had_failed_by_itself_counts(self) -> None:
        run = given.run(status=running_status())
        job = attempt_job(run)
        job["spec"]["suspend"] = True
        told = decide(run, job=job, pod=attempt_pod(run, state=ended(3)))

        assert finished(told)["reason"] == "ExitCode"

    def test_a_program_that_was_done_before_is_done(self) -> None:
        run = given.run(status=running_status())
        job = attempt_job(run)
        job["spec"]["suspend"] = True
        told = decide(run, job=job, pod=attempt_pod(run, state=ended(0)))

        assert told.status["phase"] == "Succeeded"


class TestLosing:
    """A node that died says no more: the pod stays as it was last seen."""

    def test_a_pod_that_should_have_stopped_long_ago_is_lost(self) -> None:
        run = given.run(status=running_status())
        frozen = attempt_pod(run, state=RUNNING, phase="Running", deleting=True)
        told = decide(run, job=attempt_job(run), pod=frozen)

        assert told.status["phase"] == "Retrying"
        assert told.status["attempts"][0]["reason"] == "PodLost"
        assert "node" in told.status["attempts"][0]["message"]

    def test_a_pod_that_is_given_its_grace_time_is_looked_at_when_that_is_over(self) -> None:
        run = given.run(status=running_status())
        pod = attempt_pod(run, state=RUNNING, phase="Running")
        pod["metadata"]["deletionTimestamp"] = "2026-11-24T13:00:10Z"
        told = decide(run, job=attempt_job(run), pod=pod)

        assert told.status["phase"] == "Running"
        assert told.recheck_after == timedelta(seconds=40)


class TestSettling:
    """A node tells the end of a program before it tells that it was the node who ended it."""

    def test_an_end_waits_for_what_the_pod_says_of_it(self) -> None:
        run = given.run(status=running_status())
        pod = attempt_pod(run, state=ended(0), phase="Running")
        told = decide(run, job=attempt_job(run), pod=pod)

        assert told.status == running_status()
        assert told.recheck_after is not None
        pod["status"] |= {"phase": "Failed", "reason": "Terminated"}
        assert decide(run, job=attempt_job(run), pod=pod).status["phase"] == "Retrying"

    def test_a_cancel_meanwhile_changes_nothing(self) -> None:
        run = given.run(cancel=True, status=running_status())
        pod = attempt_pod(run, state=ended(0), phase="Running")

        assert decide(run, job=attempt_job(run), pod=pod).status == running_status()

    def test_it_does_not_wait_for_ever(self) -> None:
        run = given.run(status=running_status())
        pod = attempt_pod(run, state=ended(0), phase="Running")
        told = decide(run, job=attempt_job(run), pod=pod, after=LATER)

        assert told.status["phase"] == "Succeeded"

    def test_a_node_an_hour_ahead_makes_it_wait_no_longer(self) -> None:
        run = given.run(status=running_status())
        placed = given.condition("PodScheduled", lastTransitionTime="2026-11-24T11:58:00Z")
        times = {"startTime": "2026-11-24T12:58:00Z", "conditions": [placed]}
        pod = attempt_pod(run, state=ended(0), phase="Running", **times)

        assert decide(run, job=attempt_job(run), pod=pod).status["phase"] == "Succeeded"


class TestEnding:
    def test_a_success_is_final_without_an_event(self) -> None:
        run = given.run(status=running_status())
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(0)))

        assert told.status["phase"] == "Succeeded"
        assert told.status["duration"] == "30s"
        assert condition_of(told, "Succeeded")["status"] == "True"
        assert condition_of(told, "Recorded")["reason"] == "Recording"
        assert not told.events

    def test_a_failure_has_its_code_and_last_lines(self) -> None:
        run = given.run(status=running_status())
        pod = attempt_pod(run, state=ended(3, message="one\ntwo\n"))
        told = decide(run, job=attempt_job(run), pod=pod)
        entry = told.status["attempts"][0]

        assert (entry["exitCode"], entry["logTail"]) == (3, ["one", "two"])
        assert condition_of(told, "Succeeded")["reason"] == "ExitCode"
        assert [event.reason for event in told.events] == ["ExitCode"]

    def test_a_failure_that_may_be_tried_again_is_not_final(self) -> None:
        run = given.run(status=running_status(), retry={"userError": 1})
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run, state=ended(3)))

        assert told.status["phase"] == "Retrying"
        assert finished(told)["status"] == "False"
        assert told.recheck_after == timedelta(seconds=2)

    def test_a_job_that_is_gone_is_the_clusters_fault(self) -> None:
        run = given.run(status=running_status(), retry={"infrastructure": 0})
        told = decide(run)

        assert finished(told)["reason"] == "PodLost"

    def test_a_job_that_failed_without_a_pod_lost_it(self) -> None:
        run = given.run(retry={"infrastructure": 0})
        failed = attempt_job(run, conditions=[{"type": "Failed", "status": "True"}])

        assert finished(decide(run, job=failed))["reason"] == "PodLost"

    @pytest.mark.parametrize(
        ("kind", "state"), [("FailureTarget", ended(143)), ("Failed", ended(143)), ("Failed", None)]
    )
    def test_a_deadline_of_the_job_is_no_loss_and_says_whose_it_is(
        self, kind: str, state: Object | None
    ) -> None:
        run = given.run(status=running_status())
        said = {"type": kind, "status": "True", "reason": "DeadlineExceeded"}
        job = attempt_job(run, conditions=[said])
        job["spec"]["activeDeadlineSeconds"] = 60
        pod = attempt_pod(run, state=state, deleting=True) if state else None
        told = decide(run, job=job, pod=pod)

        assert finished(told)["reason"] == "TimedOut"
        assert told.status["phase"] == "Failed"
        assert "activeDeadlineSeconds (60)" in finished(told)["message"]
        assert "policy" in finished(told)["message"]

    def test_a_program_that_failed_before_the_jobs_deadline_failed_by_itself(self) -> None:
        run = given.run(status=running_status())
        said = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
        told = decide(
            run, job=attempt_job(run, conditions=[said]), pod=attempt_pod(run, state=ended(3))
        )

        assert finished(told)["reason"] == "ExitCode"

    def test_only_the_last_ten_attempts_are_listed(self) -> None:
        at = "2026-11-24T12:00:00Z"
        past = [attempt(n, completionTime=at, reason="ExitCode") for n in range(1, 11)]
        run = given.run(status={"attempts": past}, retry={"userError": 50})
        told = decide(run, job=attempt_job(run, 11), pod=attempt_pod(run, 11, state=ended(3)))

        assert [each["number"] for each in told.status["attempts"]] == list(range(2, 12))
        assert told.status["attemptCount"] == 11


@pytest.mark.parametrize(
    ("spec", "state", "follows", "final"),
    [
        ({"retry": {"userError": 1}}, ended(3), True, False),
        ({}, ended(3), False, True),
        ({"retry": {"userError": 1}}, ended(0), False, True),
        ({"suspend": True}, ended(143), True, False),
        ({}, RUNNING, False, False),
    ],
    ids=["retried", "failed", "succeeded", "suspended", "running"],
)
def test_a_log_is_told_what_follows(
    spec: Object, state: Object, *, follows: bool, final: bool
) -> None:
    run = given.run(status=running_status(), **spec)
    pod = attempt_pod(run, state=state, deleting="suspend" in spec)
    told = decide(run, job=attempt_job(run), pod=pod)

    logs = [each for each in told.effects if isinstance(each, FollowLog)]
    assert [(each.is_retried, each.is_final) for each in logs] == [(follows, final)]
