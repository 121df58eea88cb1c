"""What the Run kind reads, and what it does not; and whose records are closed."""

from typing import Any

from builders import given
from builders.stage import RUNNING, Scene, attempt_job, attempt_pod, ended, waiting
from fake_services import FakeLogs
from trainyard_operator import names
from trainyard_operator.engine.errors import NotFound, Unavailable
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shell import Shell
from trainyard_operator.names import RUNS
from trainyard_operator.runs.effects import FollowLog
from trainyard_operator.runs.kind import KIND as RUN
from trainyard_operator.runs.observe import observe
from trainyard_operator.runs.orphans import kill_orphans

LISTED: Object = {"attempts": [{"number": 1, "job": "r-a1", "pod": "r-a1-0-x"}]}
DONE: Object = {
    "attempts": [{**LISTED["attempts"][0], "completionTime": given.CREATED}],
    "conditions": [given.condition("Finished")],
}


def event(of: Object, reason: str, message: str, at: str = given.CREATED) -> Object:
    body = given.thing("v1", "Event", reason.lower())
    about = {"involvedObject": {"uid": of["metadata"]["uid"]}}
    return {**body, **about, "reason": reason, "message": message, "lastTimestamp": at}


async def test_a_job_of_a_namesake_is_not_this_runs() -> None:
    run = given.run()
    other = given.run(metadata={"uid": "other"})
    scene = Scene().holds(JOBS, attempt_job(other))

    assert (await observe(run, scene.world)).attempt.job is None


async def test_the_newest_pod_of_a_job_counts() -> None:
    run = given.run()
    old, new = attempt_pod(run), attempt_pod(run)
    new["metadata"] |= {"name": "newer", "uid": "n", "creationTimestamp": "2026-11-24T13:00:00Z"}
    observed = await observe(run, Scene().holds(JOBS, attempt_job(run)).holds(PODS, old, new).world)

    assert (observed.attempt.first or {})["metadata"]["name"] == "newer"


async def test_a_missing_job_is_asked_for_before_its_pod_is_called_lost() -> None:
    run = given.run(status=LISTED)
    scene = Scene()
    scene.kube.put(attempt_job(run))

    assert (await observe(run, scene.world)).attempt.job is not None
    assert (await observe(run, Scene().world)).attempt.job is None


async def test_the_pod_of_a_vanished_job_is_found_by_its_name() -> None:
    run = given.run(status=LISTED)
    scene = Scene().holds(PODS, attempt_pod(run, state=ended(0)))

    assert (await observe(run, scene.world)).attempt.first is not None


async def test_a_finished_runs_pod_is_read_for_its_log() -> None:
    run = given.run(status=DONE)
    scene = Scene().holds(PODS, attempt_pod(run, state=ended(0)))
    recorded = given.run(
        status={**DONE, "conditions": [*DONE["conditions"], given.condition("Recorded")]}
    )

    assert (await observe(run, scene.world)).attempt.first is not None
    assert (await observe(recorded, scene.world)).attempt.first is None


async def test_a_run_whose_status_somebody_wiped_is_at_its_last_attempt_that_is_there() -> None:
    run = given.run()
    jobs = [attempt_job(run, number) for number in (2, 10)]
    running = attempt_pod(run, 10, state=RUNNING, phase="Running")
    observed = await observe(run, Scene().holds(JOBS, *jobs).holds(PODS, running).world)

    assert observed.attempt.number == 10
    assert observed.attempt.is_running


async def test_a_pod_of_an_earlier_attempt_that_still_runs_is_seen() -> None:
    run = given.run(status={"attempts": DONE["attempts"]})
    running = attempt_pod(run, state=RUNNING, phase="Running")

    assert (await observe(run, Scene().holds(PODS, running).world)).lingering
    stopped = attempt_pod(run, state=ended(0), phase="Failed")
    assert (await observe(run, Scene().holds(PODS, stopped).world)).lingering == ()


async def test_a_job_whose_pod_is_at_its_end_is_left_to_its_controller() -> None:
    run = given.run(status=DONE)
    over = attempt_pod(run, state=ended(0), phase="Succeeded")
    sidecar = attempt_pod(run, state=ended(0), phase="Running")
    sidecar["status"]["containerStatuses"].append(given.container_status("sidecar", running={}))
    job = attempt_job(run)

    assert (await observe(run, Scene().holds(JOBS, job).holds(PODS, over).world)).live == ()
    assert (await observe(run, Scene().holds(JOBS, job).holds(PODS, sidecar).world)).live != ()


async def test_events_are_read_only_of_what_has_waited_for_a_while() -> None:
    run = given.run()
    scene = Scene()
    scene.kube.warnings = [
        event(attempt_job(run), "FailedCreate", "later", "2026-11-24T13:00:00Z"),
        event(attempt_job(run), "FailedCreate", "first"),
        event(run, "Other", "of something else"),
    ]
    scene.holds(JOBS, attempt_job(run, startTime="2026-11-24T12:00:00Z"))

    assert (await observe(run, scene.world)).warnings == ()
    scene.kube.clock.pass_by(60)
    assert (await observe(run, scene.world)).warnings == (
        "FailedCreate: later",
        "FailedCreate: first",
    )


async def test_events_of_a_slow_pod_are_read_and_of_a_running_one_not() -> None:
    run = given.run()
    # Its node's clock is an hour ahead: only the control plane's counts.
    started = "2026-11-24T13:00:00Z"
    scene = Scene().holds(JOBS, attempt_job(run))
    slow = attempt_pod(run, state=waiting("ContainerCreating"), startTime=started)
    scene.kube.clock.pass_by(6)
    scene.kube.warnings = [event(slow, "FailedMount", "x")]
    assert (await observe(run, scene.holds(PODS, slow).world)).warnings

    running = attempt_pod(run, state=RUNNING, phase="Running", startTime=started)
    running["metadata"]["resourceVersion"] = "2"
    assert not (await observe(run, scene.holds(PODS, running).world)).warnings


async def test_lists_that_fail_leave_a_wait_unexplained_and_hold_up_no_cancel() -> None:
    run = given.run()
    scene = Scene().holds(JOBS, attempt_job(run))
    scene.kube.clock.pass_by(60)
    down = Unavailable("APIServerUnavailable", "it does not answer")
    scene.kube.faults.at, scene.kube.faults.error, scene.kube.faults.lasts = (1, "refused"), down, 9
    for spec in ({}, {"cancel": True}):
        seen = await observe({**run, "spec": {**run["spec"], **spec}}, scene.world)
        assert (seen.attempt.job is not None, seen.warnings) == (True, ())

    # Of those who wait one has asked, and nobody for the one that is to stop.
    assert scene.kube.faults.calls == ["list Event"]


async def test_a_pod_that_no_watch_has_shown_is_asked_for_before_it_is_called_lost() -> None:
    run = given.run()
    failed = attempt_job(run, conditions=[given.condition("Failed")])
    scene = Scene().holds(JOBS, failed)
    scene.kube.put(attempt_pod(run, state=ended(3)))
    outcome = (await observe(run, scene.world)).attempt.outcome(now=scene.world.now())

    assert (outcome.reason, outcome.exit_code) == ("ExitCode", 3) if outcome else False


async def test_a_pod_whose_label_a_policy_took_off_is_seen_all_the_same() -> None:
    run = given.run()
    scene = Scene().holds(JOBS, attempt_job(run, active=1))
    scene.kube.put(attempt_pod(run, state=RUNNING, phase="Running"))
    young = (await observe(run, scene.world)).attempt
    scene.kube.clock.pass_by(60)

    assert young.is_missing  # it is too soon to ask: watches take a moment
    assert (await observe(run, scene.world)).attempt.is_running


async def test_a_job_is_asked_for_before_a_run_that_never_started_is_called_cancelled() -> None:
    run = given.run(cancel=True)
    scene = Scene()
    scene.kube.put(attempt_job(run))

    assert (await observe(run, scene.world)).attempt.job is not None


async def test_nodes_are_read_only_for_a_pod_that_nobody_takes() -> None:
    run = given.run()
    scene = Scene().holds(JOBS, attempt_job(run))
    scene.kube.nodes = [given.thing("v1", "Node", "n")]
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = attempt_pod(run, conditions=[condition])

    assert len((await observe(run, scene.holds(PODS, pod).world)).nodes) == 1


class FakeSpool:
    """The tracking service's list of active runs."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.killed: list[str] = []

    async def active_runs(self, namespace: str) -> list[Object]:
        assert namespace == "team"
        return [{"runID": each, "name": "r"} for each in self.ids]

    async def finish_run(self, namespace: str, run_id: str, body: Object) -> Object:
        assert (namespace, body["status"]) == ("team", "KILLED")
        if run_id == "deleted":
            raise NotFound("NotFound", "no such run")
        self.killed.append(run_id)
        return {}


class Walked(FakeSpool):
    """Namespaces, of which one has just gone."""

    async def active_runs(self, namespace: str) -> list[Object]:
        if namespace == "gone":
            raise NotFound("NotFound", "no such namespace")
        return await super().active_runs(namespace)


async def test_a_namespace_that_goes_keeps_no_other_from_being_swept() -> None:
    scene = Scene()
    spool: Any = Walked("orphan")
    kube: Any = scene.kube
    await kill_orphans(scene.world.cache, kube, spool, FakeLogs(), ["gone", "team"])

    assert spool.killed == ["orphan"]


async def test_the_sweep_kills_records_whose_run_and_log_are_gone_and_no_other() -> None:
    scene = Scene()
    shell = Shell({RUNS: RUN}, scene.world)
    run = given.run()
    scene.holds(RUNS, run)
    spool: Any = FakeSpool("deleted", "gone", "printing", names.run_id(run))
    kube: Any = scene.kube
    logs = FakeLogs()
    logs.following = [FollowLog("team", "r", "printing", 1, "p", "u")]
    await kill_orphans(shell.world.cache, kube, spool, logs, ["team"])

    assert spool.killed == ["gone"]
    assert logs.forgotten == ["deleted", "gone"]
