"""Experiment: how its Runs stand, by phase. It makes nothing.

Runs wake it, and `settle` lets their changes gather: at most one status write in two seconds,
however many Runs it has.
"""

from dataclasses import dataclass, field
from datetime import datetime

from trainyard_api.contract import DEFAULT_EXPERIMENT

from trainyard_operator.engine.conditions import Condition, merge
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.engine.world import World
from trainyard_operator.names import RUNS
from trainyard_operator.settings import Settings

READY = "Ready"
_PHASES = {
    "Running": "running",
    "Retrying": "running",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Cancelled": "cancelled",
}
# Indexes of Runs: by experiment, by experiment and phase, and those whose MLflow run is known.
BY_EXPERIMENT, BY_PHASE, RECORDED = "experiment", "phase", "recorded"


@dataclass(frozen=True, slots=True)
class Observed:
    """How many Runs of the experiment are in which count, and the MLflow experiment's id."""

    counts: dict[str, int] = field(default_factory=dict)
    experiment_id: str = ""


async def observe(experiment: Object, world: World) -> Observed:
    """Count the Runs that name the experiment."""
    namespace, name = experiment["metadata"]["namespace"], experiment["metadata"]["name"]
    counts = {"pending": world.count(RUNS, namespace, by=(BY_EXPERIMENT, name))}
    for phase, count in _PHASES.items():
        number = world.count(RUNS, namespace, by=(BY_PHASE, in_phase(name, phase)))
        counts[count] = counts.get(count, 0) + number
        counts["pending"] -= number
    recorded = world.list(RUNS, namespace, by=(RECORDED, name), limit=1)
    experiment_id = next((str(run["status"]["experimentID"]) for run in recorded), "")
    return Observed(counts, experiment_id)


def plan(experiment: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Tell the counts."""
    del settings
    status = {**(experiment.get("status") or {}), "runs": observed.counts}
    if observed.experiment_id:
        status["experimentID"] = observed.experiment_id
    told = Condition(READY, "True", "Ready", "Runs may name this experiment")
    return Plan(status=merge(experiment, status, told, now=now))


def in_phase(experiment: str, phase: str) -> str:
    """Return what BY_PHASE finds the Runs of an experiment in a phase by."""
    return f"{experiment}/{phase}"


def experiment_of(run: Object) -> str:
    """Return the name of the experiment that a Run belongs to."""
    return str(run["spec"].get("experiment") or DEFAULT_EXPERIMENT)
