"""Experiment: how its Runs stand, by phase. It makes nothing.

Runs wake it, and `settle` lets their changes gather: at most one status write in two seconds,
however many Runs it has.
"""

from collections import Counter
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
_COUNTED = ("pending", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Observed:
    """How many Runs of the experiment are in which count, and the MLflow experiment's id."""

    counts: dict[str, int] = field(default_factory=dict)
    experiment_id: str = ""


async def observe(experiment: Object, world: World) -> Observed:
    """Count the Runs that name the experiment."""
    counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
    experiment_id = ""
    meta = experiment["metadata"]
    for run in world.list(RUNS, meta["namespace"]):
        if experiment_of(run) == meta["name"]:
            status = run.get("status") or {}
            counts[_PHASES.get(status.get("phase", ""), "pending")] += 1
            experiment_id = experiment_id or str(status.get("experimentID") or "")
    return Observed(dict(counts), experiment_id)


def plan(experiment: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Tell the counts."""
    del settings
    status = {**(experiment.get("status") or {}), "runs": observed.counts}
    if observed.experiment_id:
        status["experimentID"] = observed.experiment_id
    told = Condition(READY, "True", "Ready", "Runs may name this experiment")
    return Plan(status=merge(experiment, status, told, now=now))


def experiment_of(run: Object) -> str:
    """Return the name of the experiment that a Run belongs to."""
    return str(run["spec"].get("experiment") or DEFAULT_EXPERIMENT)
