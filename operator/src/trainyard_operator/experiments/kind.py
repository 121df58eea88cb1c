"""The Experiment kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable
from datetime import timedelta

from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.world import World
from trainyard_operator.experiments.plan import (
    BY_EXPERIMENT,
    BY_PHASE,
    READY,
    RECORDED,
    experiment_of,
    in_phase,
    observe,
    plan,
)
from trainyard_operator.names import EXPERIMENTS, RUNS


def _named_by(run: Object, world: World) -> Iterable[str]:
    name = experiment_of(run)
    if world.get(EXPERIMENTS, run["metadata"]["namespace"], name) is not None:
        yield name


def _experiment(run: Object) -> Iterable[str]:
    return (experiment_of(run),)


def _in_phase(run: Object) -> Iterable[str]:
    phase = str((run.get("status") or {}).get("phase", ""))
    return (in_phase(experiment_of(run), phase),)


def _recorded(run: Object) -> Iterable[str]:
    return (experiment_of(run),) if (run.get("status") or {}).get("experimentID") else ()


KIND = Kind(
    resource=EXPERIMENTS,
    condition=READY,
    observe=observe,
    plan=plan,
    wakes={RUNS: _named_by},
    # All counts, so that no look reads ten thousand Runs.
    indexes={RUNS: {BY_EXPERIMENT: _experiment, BY_PHASE: _in_phase, RECORDED: _recorded}},
    settle=timedelta(seconds=2),
)
