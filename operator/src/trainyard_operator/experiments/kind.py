"""The Experiment kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable
from datetime import timedelta

from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.world import World
from trainyard_operator.experiments.plan import READY, experiment_of, observe, plan
from trainyard_operator.names import EXPERIMENTS, RUNS


def _named_by(run: Object, world: World) -> Iterable[str]:
    name = experiment_of(run)
    if world.get(EXPERIMENTS, run["metadata"]["namespace"], name) is not None:
        yield name


KIND = Kind(
    resource=EXPERIMENTS,
    condition=READY,
    observe=observe,
    plan=plan,
    wakes={RUNS: _named_by},
    settle=timedelta(seconds=2),
)
