"""Any one call fails, or its answer is lost, and the process lives on: the same end as ever.

For every scenario and every call that it makes: to the API server, for reading or writing, and
to the tracking service. On the way, what has ended never looks as if it had not.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from builders import given
from builders.stage import Stage
from fakes import without_times
from trainyard_operator.engine.conditions import is_true
from trainyard_operator.engine.errors import Conflict, OperatorError, Retry, Unavailable
from trainyard_operator.engine.plan import Object
from trainyard_operator.kinds import KINDS

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
ENDS = {"Run": "Finished", "ModelVersion": "Published"}


async def play(
    scenario: Scenario, *, at: tuple[int, str], error: OperatorError, lasts: int = 1
) -> Stage:
    stage = Stage(exits=scenario.exits)
    for name, value in scenario.cluster.items():
        setattr(stage.cluster, name, value)
    for each in scenario.objects:
        stage.add(each)
    stage.faults.at, stage.faults.error, stage.faults.lasts = at, error, lasts
    process = stage.process(KINDS)
    ended: set[tuple[str, str]] = set()
    for turn in range(ROUNDS):
        scenario.acts.get(turn, lambda _: None)(stage)
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


async def test_a_run_whose_record_is_lost_is_recorded_and_cleaned_up_all_the_same() -> None:
    scenario = SCENARIOS["a Run whose record is lost while it runs"]
    stage = await play(scenario, at=(0, ""), error=Unavailable("APIServerUnavailable", "down"))
    (run,) = stage.kube.find("Run")

    assert is_true(run["status"], "Recorded")
    assert [each["status"] for each in stage.tracking.runs.values()] == ["FINISHED"]
    assert not stage.kube.find("Job")


async def test_the_record_of_a_run_that_tries_again_is_of_its_last_attempt() -> None:
    scenario = SCENARIOS["a Run that tries again"]
    stage = await play(scenario, at=(0, ""), error=Unavailable("APIServerUnavailable", "down"))
    ((run_id, record),) = stage.tracking.runs.items()

    assert record["attempt"] == 2
    assert stage.tracking.earlier[run_id, 1]["status"] == "FAILED"


@pytest.mark.parametrize("error", [Unavailable, Conflict, Retry], ids=lambda e: e.__name__)
@pytest.mark.parametrize("moment", ["refused", "lost"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_any_call_may_fail_once(name: str, moment: str, error: type[OperatorError]) -> None:
    scenario = SCENARIOS[name]
    told = error("APIServerUnavailable", "it does not answer")
    wanted = await play(scenario, at=(0, ""), error=told)

    assert len(wanted.faults.calls) >= 2
    for number, call in enumerate(wanted.faults.calls, 1):
        stage = await play(scenario, at=(number, moment), error=told)

        assert end(stage) == end(wanted), f"call {number}, {call}, {moment}"
        assert made(stage) == made(wanted), f"call {number}, {call}, {moment}"
        assert records(stage) == records(wanted), f"call {number}, {call}, {moment}"


@pytest.mark.parametrize("moment", ["refused", "lost"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_calls_may_fail_for_long_enough_to_be_told(name: str, moment: str) -> None:
    scenario = SCENARIOS[name]
    down = Unavailable("APIServerUnavailable", "it does not answer")
    wanted = await play(scenario, at=(0, ""), error=down)

    for number, call in enumerate(wanted.faults.calls, 1):
        stage = await play(scenario, at=(number, moment), error=down, lasts=15)

        assert end(stage) == end(wanted), f"from call {number}, {call}, {moment}"
        assert made(stage) == made(wanted), f"from call {number}, {call}, {moment}"
        assert records(stage) == records(wanted), f"from call {number}, {call}, {moment}"
