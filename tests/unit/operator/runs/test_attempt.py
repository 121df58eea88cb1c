"""What an attempt of several pods is: how it ends, whether it runs, what it waits for."""

from datetime import timedelta
from typing import Any

from builders import given
from builders.run_plans import LATER, ended_status, finished, kinds_of, running_status
from builders.stage import NOW, RUNNING, Scene, attempt_job, attempt_pod, decide, ended, waiting
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.runs import effects
from trainyard_operator.runs.attempt import INDEX, Attempt
from trainyard_operator.runs.observe import observe

RUN = given.run(status=running_status())
EVICTED: Object = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}


def job(size: int = 2, **status: Any) -> Object:
    made = attempt_job(RUN, **status)
    made["spec"]["completions"] = size
    return made


def pod(
    index: int, state: Object | None = None, *, created: str = given.CREATED, **more: Any
) -> Object:
    made = attempt_pod(RUN, state=state, **more)
    name = f"r-a1-{index}-{created[11:13]}"
    made["metadata"] |= {"name": name, "uid": name, "creationTimestamp": created}
    made["metadata"]["labels"][INDEX] = str(index)
    return made


def running(index: int, **more: Any) -> Object:
    return pod(index, RUNNING, phase="Running", **more)


def told(index: int, at: str, *, why: str = "EvictionByEvictionAPI", **more: Any) -> Object:
    """Return a pod that was told to leave."""
    target = given.condition("DisruptionTarget", reason=why, lastTransitionTime=at)
    return pod(index, conditions=[target], **more)


def after(*pods: Object, run: Object = RUN, size: int = 2, **more: Any) -> Plan:
    return decide(run, job=job(size), pods=pods, **more)


class TestEnding:
    def test_it_has_succeeded_once_all_have(self) -> None:
        late = "2026-11-24T12:59:50Z"
        first, second = pod(0, ended(0)), pod(1, ended(0, finishedAt=late))

        assert after(first, second).status["phase"] == "Succeeded"
        assert after(first, second).status["completionTime"] == late
        assert after(first, running(1)).status["phase"] == "Running"
        assert after(first).status["phase"] != "Succeeded"

    def test_one_that_fails_ends_it_and_is_named(self) -> None:
        plan = after(running(0), pod(1, ended(3, message="boom")))

        assert finished(plan)["reason"] == "ExitCode"
        assert finished(plan)["message"].startswith("Index 1: The program exited with code 3")
        entry = plan.status["attempts"][0]
        assert (entry["exitCode"], entry["logTail"]) == (3, ["boom"])
        assert entry["pod"] == running(0)["metadata"]["name"]

    def test_the_first_failure_in_time_decides(self) -> None:
        early = pod(1, ended(3, finishedAt="2026-11-24T12:59:10Z"))
        late = pod(0, ended(1, finishedAt="2026-11-24T12:59:20Z"))

        assert "Index 1: The program exited with code 3" in finished(after(late, early))["message"]

    def test_one_that_is_evicted_while_the_other_runs_is_tried_again(self) -> None:
        plan = after(running(0), pod(1, ended(143), **EVICTED))

        assert plan.status["phase"] == "Retrying"
        assert plan.status["attempts"][0]["reason"] == "Evicted"
        assert plan.status["retries"]["infrastructure"] == 1

    def test_one_that_fails_because_another_is_being_evicted_is_not_to_blame(self) -> None:
        leaving = told(1, "2026-11-24T12:59:20Z", state=RUNNING, phase="Running")
        plan = after(pod(0, ended(1, finishedAt="2026-11-24T12:59:25Z")), leaving)

        assert plan.status["attempts"][0]["reason"] == "Evicted"
        assert plan.status["phase"] == "Retrying"

    def test_one_that_failed_before_the_other_was_told_to_leave_is_to_blame(self) -> None:
        leaving = told(1, "2026-11-24T12:59:40Z", state=RUNNING, phase="Running")
        plan = after(pod(0, ended(1, finishedAt="2026-11-24T12:59:25Z")), leaving)

        assert plan.status["attempts"][0]["reason"] == "ExitCode"

    def test_pods_that_the_job_deletes_beside_one_that_failed_are_not_to_blame(self) -> None:
        failed = pod(1, ended(3, finishedAt="2026-11-24T12:59:30Z"))
        deleted = pod(0, ended(143, finishedAt="2026-11-24T12:59:31Z"))
        grace = {"deletionTimestamp": "2026-11-24T13:00:00Z", "deletionGracePeriodSeconds": 30}
        deleted["metadata"] |= grace

        assert after(deleted, failed).status["attempts"][0]["reason"] == "ExitCode"

    def test_of_an_index_that_was_made_again_the_newest_counts(self) -> None:
        old = pod(1, ended(143), **EVICTED)
        fresh = pod(1, ended(0), created="2026-11-24T12:30:00Z")

        assert after(fresh, pod(0, ended(0)), old).status["phase"] == "Succeeded"
        assert after(pod(0, ended(0)), old).status["phase"] == "Retrying"

    def test_a_pod_that_is_gone_from_a_job_that_failed_is_lost(self) -> None:
        failed = job(conditions=[{"type": "Failed", "status": "True"}])
        plan = decide(RUN, job=failed, pods=[pod(0, ended(0))])

        assert plan.status["attempts"][0]["reason"] == "PodLost"

    def test_a_pod_that_was_deleted_before_anybody_saw_it_done_is_lost(self) -> None:
        lost = decide(RUN, job=attempt_job(RUN, conditions=[given.condition("Complete")]))

        assert lost.status["attempts"][0]["reason"] == "PodLost"

    def test_an_end_waits_for_what_the_pods_say_of_it_but_not_while_others_run(self) -> None:
        quick = pod(0, ended(0), phase="Running")
        run = given.run(status=running_status(), timeout="30s")

        assert after(quick, running(1), run=run).status["attempts"][0]["reason"] == "TimedOut"
        settling = after(quick, pod(1, ended(0)))
        assert settling.status == RUN["status"]
        assert settling.recheck_after == timedelta(seconds=1)


class TestRunning:
    def test_it_runs_once_no_pod_has_to_start(self) -> None:
        plan = after(running(0), running(1))

        assert plan.status["phase"] == "Running"
        logs = [
            (each.index, each.pod) for each in plan.effects if kinds_of((each,)) == ["FollowLog"]
        ]
        assert logs == [(0, "r-a1-0-12"), (1, "r-a1-1-12")]

    def test_while_one_waits_that_is_what_is_told_and_the_other_is_followed(self) -> None:
        run = given.run()
        stuck = pod(1, waiting("ErrImagePull", "i/o timeout"))
        plan = after(running(0), stuck, run=run)

        assert finished(plan)["reason"] == "ImagePullFailed"
        assert finished(plan)["message"].startswith("Index 1: ")
        assert kinds_of(plan.effects) == ["FollowLog"]

    def test_one_that_is_not_made_is_explained_by_its_job(self) -> None:
        plan = after(running(0), run=given.run(), warnings=("FailedCreate: exceeded quota: q",))

        assert finished(plan)["reason"] == "QuotaExceeded"

    def test_a_pod_that_does_not_stop_is_looked_at_when_it_is_given_up(self) -> None:
        leaving = running(1)
        leaving["metadata"]["deletionTimestamp"] = "2026-11-24T13:00:10Z"

        assert after(running(0), leaving).recheck_after == timedelta(seconds=40)

    def test_one_that_was_done_before_it_was_deleted_is_not(self) -> None:
        done = pod(1, ended(0))
        done["metadata"]["deletionTimestamp"] = "2026-11-24T13:00:10Z"
        done["metadata"]["deletionGracePeriodSeconds"] = 0
        plan = after(running(0), done)

        assert (plan.status["phase"], plan.recheck_after) == ("Running", None)

    def test_a_pod_that_does_not_stop_in_time_is_lost(self) -> None:
        leaving = running(1)
        leaving["metadata"]["deletionTimestamp"] = "2026-11-24T13:00:10Z"
        lost = after(running(0), leaving, after=LATER)

        assert lost.status["attempts"][0]["reason"] == "PodLost"


class TestStopping:
    def test_it_has_stopped_once_all_have(self) -> None:
        run = given.run(cancel=True, status=running_status())
        gone = pod(0, ended(143), deleting=True)

        assert finished(decide(run, pods=[gone, running(1)]))["reason"] == "Cancelling"
        both = [gone, pod(1, ended(143), deleting=True)]
        assert finished(decide(run, pods=both))["reason"] == "Cancelled"

    def test_one_that_is_not_made_may_still_start(self) -> None:
        run = given.run(cancel=True, status=running_status())

        assert finished(after(pod(0, ended(143)), run=run))["reason"] == "Cancelling"

    def test_the_next_attempt_waits_for_every_pod_of_the_last(self) -> None:
        at = "2026-11-24T12:00:00Z"
        run = given.run(status=ended_status("PodLost", completionTime=at, conditions=[]))
        given_up = running(0, deleting=True)

        assert not decide(run, lingering=(given_up, running(1)), after=LATER).create
        assert decide(run, lingering=(given_up,), after=LATER).create


class TestRecording:
    def test_each_pods_log_is_archived_also_of_earlier_attempts(self) -> None:
        run = given.run(status=ended_status("ExitCode", "Failed"))
        run["status"]["attempts"].insert(0, {**run["status"]["attempts"][0], "number": 0})
        plan = decide(run, job=job(), pods=[pod(0, ended(0)), pod(1, ended(3))])
        done = next(each for each in plan.effects if isinstance(each, effects.FinishRun))

        logs = [(log.attempt, log.index, log.pod) for log in done.logs]
        assert logs == [(0, 0, ""), (0, 1, ""), (1, 0, "r-a1-0-12"), (1, 1, "r-a1-1-12")]


class TestObserving:
    async def test_pods_are_found_by_index(self) -> None:
        scene = Scene().holds(JOBS, job()).holds(PODS, running(1), running(0))
        attempt = (await observe(RUN, scene.world)).attempt

        assert list(attempt.pods) == [0, 1]
        assert attempt.size == 2
        assert attempt.is_running

    async def test_pods_of_a_vanished_job_are_found_and_no_other_attempts(self) -> None:
        earlier = attempt_pod(RUN, 2)
        scene = Scene().holds(PODS, running(0), running(1), earlier)

        assert list((await observe(RUN, scene.world)).attempt.pods) == [0, 1]

    async def test_all_pods_of_earlier_attempts_that_run_are_seen(self) -> None:
        run = given.run(status=ended_status("PodLost", conditions=[]))
        scene = Scene().holds(PODS, running(0), running(1))

        assert len((await observe(run, scene.world)).lingering) == 2


def test_a_pod_without_an_index_is_the_first() -> None:
    bare = attempt_pod(RUN)
    noted = attempt_pod(RUN)
    noted["metadata"]["annotations"] = {INDEX: "3"}

    assert Attempt.of(1, None, [bare]).first is bare
    assert list(Attempt.of(1, None, [noted]).pods) == [3]
    assert Attempt.of(1, None, [noted]).size == 4


def test_an_attempt_of_one_pod_names_no_index() -> None:
    outcome = Attempt.of(1, attempt_job(RUN), [attempt_pod(RUN, state=ended(3))]).outcome(now=NOW)

    assert outcome is not None
    assert outcome.message.startswith("The program exited")
