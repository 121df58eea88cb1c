"""What can happen to a Run, a version, a Model and a Deployment, played on a cluster in memory.

Any one call may fail, or its answer be lost; watches may be late, each by its own time.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from fakes import without_times
from trainyard_operator.engine import objects
from trainyard_operator.engine.conditions import is_true
from trainyard_operator.engine.errors import OperatorError, Unavailable
from trainyard_operator.engine.plan import Object
from trainyard_operator.kinds import KINDS

from builders import given
from builders.stage import Process, Stage

ROUNDS = 75
STAGES = [given.stage("staging", "automatic"), given.stage("production", "approval")]


@dataclasses.dataclass
class Scenario:
    """What is there at the start, how the cluster behaves, and who does what in which round."""

    objects: list[Object]
    exits: dict[int, int] = dataclasses.field(default_factory=dict)
    cluster: dict[str, bool] = dataclasses.field(default_factory=dict)
    acts: dict[int, Callable[[Stage], None]] = dataclasses.field(default_factory=dict)


def edit(kind: str, **spec: Any) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        found = next(o for o in stage.kube.find(kind) if "trainyard" in o["apiVersion"])
        meta = {**found["metadata"], "generation": found["metadata"]["generation"] + 1}
        stage.kube.put({**found, "metadata": meta, "spec": {**found["spec"], **spec}})

    return act


def remove(kind: str) -> Callable[[Stage], None]:
    return lambda stage: stage.kube.remove(stage.kube.find(kind)[0])


def release(stage: Stage) -> None:
    stage.cluster.holds = False


def take_back(stage: Stage) -> None:
    """Suspend the Job, as a queue does that gives its place to another."""
    job = stage.kube.find("Job")[0]
    stage.kube.put({**job, "spec": {**job["spec"], "suspend": True}})
    stage.kube.remove(stage.kube.find("Pod")[0])


def an_hour_later(stage: Stage) -> None:
    stage.clock.pass_by(3600)


def find(stage: Stage) -> None:
    """Have what pods lack be there."""
    stage.cluster.lacks = False


def lose_records(stage: Stage) -> None:
    stage.tracking.runs.clear()
    release(stage)


LIVE = {"holds": True}
FINISHED = given.run(status={"phase": "Succeeded", "conditions": [given.condition("Finished")]})
VERSION = given.model_version(source={"uri": "s3://models/digits"})
PUBLISHED = given.model_version(source={"uri": "s3://models/digits"}, status=given.published())
MODEL = given.model(stages=STAGES)
SERVED = given.model(aliases={"production": 1}, status={"aliases": {"production": 1}})
SCENARIOS = {
    "a Run that succeeds": Scenario([given.run()]),
    "a Run that fails": Scenario([given.run()], {1: 3}),
    "a Run that tries again": Scenario([given.run(retry={"userError": 1})], {1: 3}),
    "a Run that registers a model": Scenario([given.run(register={"model": "digits"})]),
    "a Run that times out": Scenario([given.run(timeout="5s")], cluster=LIVE),
    "a Run that lacks a Secret": Scenario([given.run()], cluster={"lacks": True}),
    "a Run whose place a queue takes back": Scenario(
        [given.run(retry={"infrastructure": 0})], cluster=LIVE, acts={25: take_back, 40: release}
    ),
    "a Run that is cancelled": Scenario(
        [given.run()], cluster=LIVE, acts={25: edit("Run", cancel=True)}
    ),
    "a Run that is cancelled before its start": Scenario([given.run(cancel=True)]),
    "a Run that is suspended": Scenario(
        [given.run()],
        cluster=LIVE,
        acts={25: edit("Run", suspend=True), 45: edit("Run", suspend=False), 46: release},
    ),
    "a Run whose record is lost while it runs": Scenario(
        [given.run(ttlSecondsAfterFinished=3)], cluster=LIVE, acts={25: lose_records}
    ),
    "a Run that is cleaned up": Scenario([given.run(ttlSecondsAfterFinished=3)]),
    "a version that is published": Scenario([given.model(), VERSION]),
    "a version that is refused": Scenario([given.model(), VERSION], cluster={"refuses": True}),
    "a version whose Job starts nothing for an hour": Scenario(
        [given.model(), VERSION], cluster={"lacks": True}, acts={20: an_hour_later, 45: find}
    ),
    "a version that is promoted": Scenario([MODEL, VERSION]),
    "a version that is deleted": Scenario(
        [given.model(), VERSION], acts={25: remove("ModelVersion")}
    ),
    "a model that is deleted": Scenario(
        [given.model(metadata={"finalizers": []}), VERSION], acts={25: remove("Model")}
    ),
    "a deployment that is rolled out": Scenario([SERVED, PUBLISHED, given.model_deployment()]),
    "a deployment that is rejected": Scenario(
        [SERVED, PUBLISHED, given.model_deployment()], cluster={"breaks": True}
    ),
}
DOWN = Unavailable("APIServerUnavailable", "it does not answer")
ENDS = {"Run": "Finished", "ModelVersion": "Published"}


class Watches:
    """Tells a process what happened, late: what it wrote itself it knows by the answer."""

    def __init__(self, stage: Stage, process: Process, lag: Mapping[str, int]) -> None:
        self._lag = lag
        self._round = 0
        self._told: list[tuple[int, Callable[[Object], None], Object]] = []
        kube = stage.kube
        if lag:
            kube.on_answered = process.written
            kube.on_written = lambda seen: self._later(process.written, seen)
            kube.on_deleted = lambda seen: self._later(process.deleted, seen)

    def tell(self, turn: int) -> None:
        """Tell what is due."""
        self._round = turn
        due = [each for each in self._told if each[0] <= turn]
        self._told = [each for each in self._told if each[0] > turn]
        for _, tell, seen in due:
            tell(seen)

    def _later(self, tell: Callable[[Object], None], seen: Object) -> None:
        resource = objects.PLURALS[seen["apiVersion"], seen["kind"]]
        self._told.append((self._round + self._lag.get(resource, 0), tell, seen))


async def play(
    scenario: Scenario,
    *,
    at: tuple[int, str] = (0, ""),
    error: OperatorError = DOWN,
    lasts: int = 1,
    lag: Mapping[str, int] | None = None,
    rounds: int = ROUNDS,
) -> Stage:
    """Let everything happen.

    Args:
        at: Number of the call that fails, and whether it is made all the same (`lost`).
        lag: Resource → by how many rounds its watch is late. Answers of own writes are at once.
    """
    stage = Stage(exits=scenario.exits)
    for name, value in scenario.cluster.items():
        setattr(stage.cluster, name, value)
    for each in scenario.objects:
        stage.add(each)
    stage.faults.at, stage.faults.error, stage.faults.lasts = at, error, lasts
    process = stage.process(KINDS)
    watches = Watches(stage, process, lag or {})
    ended: set[tuple[str, str]] = set()
    for turn in range(rounds):
        scenario.acts.get(turn, lambda _: None)(stage)
        watches.tell(turn)
        await process.look()
        ended |= ends(stage, ended)
        stage.cluster.step()
        stage.clock.pass_by(1)
    return stage


def ends(stage: Stage, before: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return what has ended; what had, must have."""
    found = set()
    for kind, condition in ENDS.items():
        for each in stage.kube.find(kind):
            mark = (kind, each["metadata"]["name"])
            status = each.get("status") or {}
            if is_true(status, condition) or status.get("phase") == "Rejected":
                found.add(mark)
            else:
                assert mark not in before, f"{mark} had ended"
    return found


def end(stage: Stage) -> Any:
    held = {repr(a): settled(without_times(each)) for a, each in stage.kube.objects.items()}
    # The names of Secrets end in a hash of their token, which has times.
    return json.loads(re.sub(r"-[0-9a-f]{8}\b", "-HASH", json.dumps(held)))


def settled(each: Object) -> Object:
    """Return an object without the order of its conditions, and without tokens: they have times."""
    each.pop("stringData", None)
    told = each.get("status", {}).get("conditions")
    if told:
        # Told once they failed, and then they stay.
        kept = [c for c in told if c["type"] not in {"Audited", "CleanedUp"}]
        each["status"]["conditions"] = sorted(kept, key=lambda c: str(c["type"]))
    return each


def records(stage: Stage) -> Any:
    """Return what is on record: of which attempt each MLflow run is, and those that made room."""
    held = {run_id: (run["attempt"], run["status"]) for run_id, run in stage.tracking.runs.items()}
    return held, sorted(stage.tracking.earlier)


def made(stage: Stage) -> list[str]:
    """Return the Jobs that were ever made: one made twice trained twice."""
    return sorted(each for each in stage.kube.made if each.startswith("Job/"))
