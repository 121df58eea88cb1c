"""What an Experiment says of its Runs."""

from collections.abc import Iterable
from datetime import timedelta

from builders import given
from builders.stage import Process, Stage, World
from fakes import Clock, FakeKube
from trainyard_operator.experiments.kind import KIND as EXPERIMENT
from trainyard_operator.names import EXPERIMENTS, RUNS


async def test_it_counts_its_runs_by_phase() -> None:
    stage = Stage()
    stage.add(given.experiment("digits"))
    phases: Iterable[str | None] = ("Succeeded", "Running", "Retrying", "Failed", None)
    for n, phase in enumerate(phases):
        stage.add(
            given.run(f"r{n}", status={"phase": phase, "experimentID": "7"} if phase else None)
        )
    stage.add(given.run("other", experiment="else"))
    await Process(stage.kube, stage.tracking, {EXPERIMENTS: EXPERIMENT}).look()
    status = stage.kube.find("Experiment")[0]["status"]

    assert status["runs"] == {
        "pending": 1,
        "running": 2,
        "succeeded": 1,
        "failed": 1,
        "cancelled": 0,
    }
    assert status["experimentID"] == "7"
    assert stage.kube.writes == ["status Experiment/digits"]


def test_its_runs_wake_it_at_most_every_two_seconds() -> None:
    world = World(FakeKube(Clock()), None)  # type: ignore[arg-type]
    waker = EXPERIMENT.wakes[RUNS]
    assert list(waker(given.run(), world)) == []

    world.cache.remember(EXPERIMENTS, given.experiment())
    assert list(waker(given.run(), world)) == ["digits"]
    assert EXPERIMENT.settle == timedelta(seconds=2)
