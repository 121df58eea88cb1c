"""What the Run kind decides until the program runs."""

from datetime import timedelta

import pytest
from builders import given
from builders.run_plans import LATER, attempt, finished, kinds_of
from builders.stage import RUNNING, SETTINGS, attempt_job, attempt_pod, decide, waiting
from trainyard_operator.engine.errors import Terminal
from trainyard_operator.runs import effects
from trainyard_operator.runs.kind import KIND
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.plan import plan


class TestStarting:
    def test_a_new_run_gets_a_record_a_secret_and_a_job(self) -> None:
        told = decide(given.run())

        assert kinds_of(told.effects) == ["RecordRun"]
        assert [each["kind"] for each in told.create] == ["Secret", "Job"]
        assert told.create[1]["metadata"]["name"] == "r-a1"

    def test_its_record_is_of_the_first_attempt(self) -> None:
        asked = decide(given.run()).effects[0]

        assert isinstance(asked, effects.RecordRun)
        assert (asked.attempt, asked.previous) == (1, {})

    @pytest.mark.parametrize(
        ("reason", "word"),
        [("ExitCode", "FAILED"), ("PodLost", "KILLED"), ("Suspended", "KILLED")],
    )
    def test_the_next_attempt_asks_for_a_clean_record(self, reason: str, word: str) -> None:
        ended = attempt(3, completionTime="2026-11-24T12:00:00Z", reason=reason)
        asked = decide(given.run(status={"phase": "Retrying", "attempts": [ended]})).effects[0]

        assert isinstance(asked, effects.RecordRun)
        assert asked.attempt == 4
        assert asked.previous == {"status": word, "endTime": 1_795_521_600_000}

    def test_it_says_nothing_in_its_first_moments(self) -> None:
        young = given.run(metadata={"creationTimestamp": "2026-11-24T12:59:59Z"})

        assert decide(young).status == {}
        assert decide(young).recheck_after is not None

    def test_the_token_is_the_same_every_time(self) -> None:
        assert decide(given.run()).create == decide(given.run(), after=LATER).create

    def test_an_unknown_runtime_is_the_users_to_mend(self) -> None:
        with pytest.raises(Terminal) as raised:
            decide(given.run(runtime="sklaern"))

        assert raised.value.reason == "InvalidSpec"
        assert "sklearn" in raised.value.message

    def test_a_run_that_is_being_deleted_starts_nothing(self) -> None:
        told = decide(given.run(metadata={"deletionTimestamp": given.CREATED}))

        assert not told.create

    def test_the_next_attempt_waits_for_its_pause(self) -> None:
        at = "2026-11-24T13:00:00Z"
        run = given.run(status={"phase": "Retrying", "attempts": [attempt(completionTime=at)]})

        assert decide(run).recheck_after == timedelta(seconds=2)
        assert decide(run, after=LATER).create[-1]["metadata"]["name"] == "r-a2"

    def test_a_node_an_hour_ahead_makes_the_pause_no_longer(self) -> None:
        ended = attempt(
            completionTime="2026-11-24T14:00:00Z", observedCompletionTime="2026-11-24T13:00:00Z"
        )
        run = given.run(status={"phase": "Retrying", "attempts": [ended]})

        assert decide(run).recheck_after == timedelta(seconds=2)

    def test_the_next_attempt_waits_for_a_pod_of_the_last_one_that_still_runs(self) -> None:
        at = "2026-11-24T12:00:00Z"
        run = given.run(status={"attempts": [attempt(completionTime=at, reason="PodLost")]})
        lingering = attempt_pod(run, state=RUNNING, phase="Running")
        told = decide(run, lingering=(lingering,))
        given_up = attempt_pod(run, state=RUNNING, phase="Running", deleting=True)

        assert not told.create
        assert decide(run, lingering=(given_up,)).create

    def test_a_job_of_the_last_attempt_that_goes_on_is_deleted_first(self) -> None:
        at = "2026-11-24T12:00:00Z"
        run = given.run(status={"attempts": [attempt(completionTime=at, reason="Evicted")]})
        told = decide(run, jobs=(attempt_job(run),))

        assert [each.name for each in told.delete] == ["r-a1"]


class TestWaiting:
    def test_a_wait_is_told_with_its_reason(self) -> None:
        run = given.run()
        told = decide(run, job=attempt_job(run), pod=attempt_pod(run))

        assert told.status["phase"] == "Pending"
        assert finished(told)["reason"] == "Starting"

    def test_what_waiting_can_mend_never_ends(self) -> None:
        run = given.run()
        pod = attempt_pod(run, state=waiting("ErrImagePull", "i/o timeout"))
        told = decide(run, job=attempt_job(run), pod=pod, after=timedelta(days=9))

        assert finished(told)["status"] == "False"

    def test_what_the_user_must_mend_ends_the_run_and_deletes_the_job(self) -> None:
        run = given.run()
        pod = attempt_pod(run, state=waiting("ErrImagePull", "manifest unknown"))
        first = decide(run, job=attempt_job(run), pod=pod)
        held = given.run(status=first.status)
        noted = decide(held, job=attempt_job(run), pod=pod, after=LATER)
        held = given.run(status=noted.status)
        told = decide(held, job=attempt_job(run), pod=pod, after=LATER)

        assert first.status["phase"] == "Pending"
        assert not noted.delete
        assert finished(told)["reason"] == "ImagePullFailed"
        assert told.status["phase"] == "Failed"
        assert [each.name for each in told.delete] == ["r-a1"]
        assert kinds_of(told.events) == ["Event"]

    def test_what_was_decided_so_is_not_lost_once_its_job_is_gone(self) -> None:
        run = given.run(retry={"infrastructure": 3})
        pod = attempt_pod(run, state=waiting("ErrImagePull", "manifest unknown"))
        first = decide(run, job=attempt_job(run), pod=pod)
        held = given.run(status=first.status)
        noted = decide(held, job=attempt_job(run), pod=pod, after=LATER)
        told = decide(given.run(status=noted.status), after=LATER)

        assert finished(told)["reason"] == "ImagePullFailed"
        assert (told.status["phase"], told.create) == ("Failed", ())

    def test_it_is_looked_at_less_and_less_often_but_not_later_than_its_patience_ends(
        self,
    ) -> None:
        run = given.run()
        pod = attempt_pod(run)
        pod["metadata"]["creationTimestamp"] = "2026-11-24T13:00:00Z"
        missing = waiting("CreateContainerConfigError", 'secret "s" not found')
        stuck = attempt_pod(run, state=missing)

        assert decide(run, job=attempt_job(run), pod=pod).recheck_after == timedelta(seconds=5)
        late = decide(run, job=attempt_job(run), pod=pod, after=timedelta(minutes=2))
        assert late.recheck_after == timedelta(seconds=20)
        taken = attempt_pod(run, startTime="2026-11-24T13:01:30Z")
        fresh = decide(run, job=attempt_job(run), pod=taken, after=timedelta(minutes=2))
        assert fresh.recheck_after == timedelta(seconds=5)
        last = decide(run, job=attempt_job(run), pod=stuck, after=timedelta(minutes=2))
        assert last.recheck_after == timedelta(seconds=30)

    def test_patience_begins_when_it_is_first_seen_not_with_the_pod(self) -> None:
        run = given.run()
        missing = waiting("CreateContainerConfigError", 'secret "s" not found')
        pod = attempt_pod(run, state=missing, startTime="2026-11-24T12:00:00Z")
        told = decide(run, job=attempt_job(run), pod=pod)

        assert finished(told)["status"] == "False"
        assert told.status["waitingSince"] == "2026-11-24T13:00:00Z"

    def test_patience_begins_anew_after_a_wait_that_time_mends(self) -> None:
        run = given.run()
        job = attempt_job(run)
        denied = attempt_pod(run, state=waiting("ErrImagePull", "401 Unauthorized"))
        slow = attempt_pod(run, state=waiting("ErrImagePull", "503 Service Unavailable"))
        first = decide(run, job=job, pod=denied)
        then = decide(given.run(status=first.status), job=job, pod=slow, after=LATER)
        last = decide(given.run(status=then.status), job=job, pod=denied, after=LATER * 2)

        assert finished(last)["status"] == "False"

    def test_patience_goes_on_while_a_kubelet_only_says_that_it_will_try_again(self) -> None:
        run = given.run()
        job = attempt_job(run)
        denied = attempt_pod(run, state=waiting("ErrImagePull", "401 Unauthorized"))
        bare = attempt_pod(run, state=waiting("ImagePullBackOff", 'Back-off pulling image "a:b"'))
        first = decide(run, job=job, pod=denied)
        then = decide(given.run(status=first.status), job=job, pod=bare, after=LATER / 2)
        noted = decide(given.run(status=then.status), job=job, pod=denied, after=LATER)
        last = decide(given.run(status=noted.status), job=job, pod=denied, after=LATER)

        assert finished(last)["reason"] == "ImagePullFailed"
        assert finished(last)["status"] == "True"

    def test_a_job_that_somebody_else_suspended_waits_and_says_for_whom(self) -> None:
        run = given.run()
        job = attempt_job(run)
        job["spec"] |= {"suspend": True, "suspendedBy": "kueue"}
        told = decide(run, job=job)

        assert finished(told)["reason"] == "JobSuspended"
        assert "kueue" in finished(told)["message"]
        job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "gpus"
        assert "queue gpus" in finished(decide(run, job=job))["message"]

    def test_an_unschedulable_pod_names_what_is_short(self) -> None:
        run = given.run()
        short = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod = attempt_pod(run, conditions=[short], limits={"cpu": "900"})
        node = given.thing("v1", "Node", "n", status={"allocatable": {"cpu": "2"}})
        told = decide(run, job=attempt_job(run), pod=pod, nodes=(node,))

        assert "cpu 900 asked for: the largest node, n, has 2" in finished(told)["message"]

    def test_a_job_that_gets_no_pod_is_explained(self) -> None:
        run = given.run()
        told = decide(run, job=attempt_job(run), warnings=("FailedCreate: exceeded quota: q",))

        assert finished(told)["reason"] == "QuotaExceeded"

    def test_a_token_that_somebody_deleted_is_written_again(self) -> None:
        run = given.run()
        (secret, _) = decide(run).create
        gone = f'secret "{secret["metadata"]["name"]}" not found'
        state = waiting("CreateContainerConfigError", gone)
        pod = attempt_pod(run, state=state, startTime="2026-11-24T13:00:00Z")
        told = decide(run, job=attempt_job(run), pod=pod, after=LATER)

        assert told.create == (secret,)
        assert finished(told)["status"] == "False"

    def test_one_that_the_pod_mounts_for_its_authority_is_as_well(self) -> None:
        run = given.run()
        (secret, _) = decide(run).create
        name = secret["metadata"]["name"]
        gone = f'FailedMount: MountVolume.SetUp failed for volume "x" : secret "{name}" not found'
        pod = attempt_pod(run, startTime="2026-11-24T13:00:00Z")
        told = decide(run, job=attempt_job(run), pod=pod, warnings=(gone,), after=LATER)

        assert told.create == (secret,)
        assert finished(told)["status"] == "False"

    def test_a_retry_that_starts_says_no_more_than_before(self) -> None:
        at = "2026-11-24T12:00:00Z"
        status = {"phase": "Retrying", "attempts": [attempt(completionTime=at, reason="Evicted")]}
        run = given.run(status=status)

        assert decide(run, job=attempt_job(run, 2), pod=attempt_pod(run, 2)).status == status


def test_the_kind_plans_with_this_plan() -> None:
    assert KIND.plan is plan
    assert KIND.plan(given.run(), Observed(), now=given.NOW, settings=SETTINGS).create


def test_a_run_that_runs_has_nothing_to_do_until_something_changes() -> None:
    run = given.run(timeout="1h")
    pod = attempt_pod(run, state=RUNNING, phase="Running")
    told = decide(run, job=attempt_job(run), pod=pod)
    again = decide({**run, "status": told.status}, job=attempt_job(run), pod=pod)

    assert told.is_steady
    assert told.status["phase"] == "Running"
    assert again == told
