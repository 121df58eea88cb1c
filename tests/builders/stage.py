"""Builders for tests of the operator's core: a Run with its Job and pod, and a whole process."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fake_cluster import JOB_NAME, FakeCluster
from fake_services import FakeLogs, FakeTeller, FakeTracking
from fakes import Clock, FakeKube, Faults
from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.cache import name_of
from trainyard_operator.engine.cluster_world import ClusterWorld
from trainyard_operator.engine.errors import Retry
from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.engine.reconcile import Reconciler
from trainyard_operator.engine.shell import WATCHED
from trainyard_operator.engine.world import Key
from trainyard_operator.names import RUNS
from trainyard_operator.process import new_cache
from trainyard_operator.runs import plan as run_kind
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.kind import KIND as RUN_KIND
from trainyard_operator.runs.observe import Observed
from trainyard_operator.settings import Runtime, Settings
from trainyard_operator.tools import Tools

from builders import given

KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
SETTINGS = Settings(
    signing_key=KEY,
    tracking_url="http://tracking:5000",
    agent_image="agent:1",
    runtimes={
        "sklearn": Runtime(
            name="sklearn",
            image="runtime:1",
            serving_image="serving:1",
            resources={"requests": {"cpu": "500m"}},
            tolerations=({"key": "gpu", "operator": "Exists"},),
        )
    },
)
NOW = given.NOW


def attempt_job(run: Object, number: int = 1, **status: Any) -> Object:
    """Return the Job of an attempt."""
    labels = names.run_labels(run, number)
    name = names.run_job(run["metadata"]["name"], number)
    return given.job(name, of=run, metadata={"labels": labels}, **status)


def attempt_pod(
    run: Object,
    number: int = 1,
    *,
    deleting: bool = False,
    limits: Object | None = None,
    **status: Any,
) -> Object:
    """Return the pod of an attempt; give `state`, `source`, or any field of its status."""
    containers = []
    state, source = status.pop("state", None), status.pop("source", None)
    if state is not None:
        containers = [given.container_status(**state)]
        status["containerStatuses"] = containers
        if "terminated" in state:
            phase = "Failed" if state["terminated"]["exitCode"] else "Succeeded"
            status.setdefault("phase", phase)
    if source is not None:
        status["initContainerStatuses"] = [given.container_status("source", **source)]
    job_name = {JOB_NAME: names.run_job(run["metadata"]["name"], number)}
    metadata: Object = {"labels": names.run_labels(run, number) | job_name}
    if deleting:
        metadata["deletionTimestamp"] = given.CREATED
    job = attempt_job(run, number)
    pod = given.pod(f"{job['metadata']['name']}-0-x", of=job, metadata=metadata, **status)
    pod["spec"]["containers"][0]["resources"] = {"limits": limits or {}}
    return pod


def ended(code: int, **more: Any) -> Object:
    """Return the state of a container that has ended."""
    times = {"startedAt": "2026-11-24T12:59:00Z", "finishedAt": "2026-11-24T12:59:30Z"}
    return {
        "terminated": {"exitCode": code, "reason": "Error" if code else "Completed"} | times | more
    }


RUNNING: Object = {"running": {"startedAt": "2026-11-24T12:59:00Z"}}


def waiting(reason: str, message: str = "") -> Object:
    """Return the state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def decide(
    run: Object,
    *,
    after: timedelta = timedelta(0),
    job: Object | None = None,
    pod: Object | None = None,
    pods: Sequence[Object] = (),
    **observed: Any,
) -> Plan:
    """Return the plan for a Run whose attempt has this Job, and this pod or these."""
    status = run.get("status") or {}
    at = run_status.last_attempt if run_status.is_finished(status) else run_status.current_attempt
    attempt = Attempt.of(at(status)[0], job, (*pods, *((pod,) if pod else ())))
    observed.setdefault("jobs", (job,) if job else ())
    observed.setdefault("live", observed["jobs"])
    seen = Observed(attempt, **observed)
    return run_kind.plan(run, seen, now=NOW + after, settings=SETTINGS)


def condition_of(plan: Plan, type_: str) -> Object:
    """Return a condition of a plan's status."""
    return next((c for c in plan.status.get("conditions", ()) if c["type"] == type_), {})


class World(ClusterWorld):
    """A ClusterWorld on a clock of its own."""

    def __init__(self, kube: FakeKube, tracking: FakeTracking) -> None:
        super().__init__(new_cache(), kube, tracking, kube.clock)  # type: ignore[arg-type]  # fakes


class Scene:
    """A world with a few objects in its caches."""

    def __init__(self) -> None:
        stage = Stage()
        self.kube: FakeKube = stage.kube
        self.world = World(stage.kube, stage.tracking)

    def holds(self, resource: str, *seen: Object) -> "Scene":
        for each in seen:
            self.world.cache.remember(resource, each)
        return self


class Process:
    """One life of the operator: its caches, and a reconciler, on a cluster that outlives it."""

    def __init__(
        self, kube: FakeKube, tracking: FakeTracking, kinds: Mapping[str, Kind[Any]] | None = None
    ) -> None:
        self.kube = kube
        self.world = World(kube, tracking)
        self.logs = FakeLogs()
        self.teller = FakeTeller()
        self.reconciler = Reconciler(
            kinds=kinds or {RUNS: RUN_KIND},
            world=self.world,
            kube=kube,
            recorder=self.teller,
            tools=Tools(kube, self.world, tracking, self.logs),  # type: ignore[arg-type]  # fakes
            settings=SETTINGS,
            now=kube.clock,
        )
        for each in kube.objects.values():
            self.written(each)
        kube.on_written = self.written
        kube.on_deleted = self.deleted

    async def look(self) -> None:
        """Look once at everything there is."""
        for resource in self.reconciler.kinds:
            for namespace, name in self.world.cache.names(resource):
                try:
                    await self.reconciler.reconcile(Key(resource, namespace, name))
                except Retry:
                    continue

    def written(self, written: Object) -> None:
        """Take in what a watch, or an answer, told."""
        resource = objects.PLURALS[written["apiVersion"], written["kind"]]
        if resource in WATCHED:
            self.world.cache.remember(resource, written)

    def deleted(self, deleted: Object) -> None:
        """Take in what a watch told of a deletion."""
        resource = objects.PLURALS[deleted["apiVersion"], deleted["kind"]]
        uid = deleted["metadata"]["uid"]
        self.world.cache.drop(resource, name_of(deleted), uid, sys.maxsize)


@dataclasses.dataclass
class Stage:
    """A cluster with everything an operator needs, but for the operator."""

    clock: Clock = dataclasses.field(default_factory=Clock)
    exits: dict[int, int] = dataclasses.field(default_factory=dict)
    faults: Faults = dataclasses.field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.kube = FakeKube(self.clock, self.faults)
        self.tracking = FakeTracking(self.faults)
        self.cluster = FakeCluster(self.kube, self.exits)

    def process(self, kinds: Mapping[str, Kind[Any]] | None = None) -> Process:
        """Start the operator: the Run kind alone, if not said."""
        return Process(self.kube, self.tracking, kinds)

    async def play(self, process: Process, *, rounds: int = 25) -> None:
        """Let the operator and the cluster take turns."""
        for _ in range(rounds):
            await process.look()
            self.cluster.step()
            self.clock.pass_by(1)

    def add(self, made: Object) -> Object:
        """Create an object as a user would."""
        body = dict(made)
        body["metadata"] = {
            k: v for k, v in made["metadata"].items() if k not in {"creationTimestamp", "uid"}
        }
        return self.kube.put(body)


def stage_with_run(**status: Any) -> Stage:
    """Return a stage on which there is a Run."""
    stage = Stage()
    stage.add(given.run(status=status or None))
    return stage
