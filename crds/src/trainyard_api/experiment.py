"""Experiment: a line of work, to which Runs belong."""

from typing import ClassVar, Literal

from pydantic import Field

from trainyard_api.contract import EXPERIMENTS
from trainyard_api.meta import ApiModel, Resource, Status
from trainyard_api.schema import Column, Definition
from trainyard_api.values import Description, Tags


class ExperimentSpec(ApiModel):
    """What the experiment is about."""

    description: Description | None = None
    """What the experiment is about, in Markdown."""
    tags: Tags | None = None
    """Tags of the MLflow experiment."""


class RunCounts(ApiModel):
    """Runs of the experiment by state."""

    pending: int = Field(0, ge=0)
    """Runs that wait, suspended ones included."""
    running: int = Field(0, ge=0)
    """Runs at work, or between two attempts."""
    succeeded: int = Field(0, ge=0)
    """Runs that succeeded."""
    failed: int = Field(0, ge=0)
    """Runs that failed."""
    cancelled: int = Field(0, ge=0)
    """Runs that were cancelled."""


class ExperimentStatus(Status):
    """What is observed of the experiment."""

    runs: RunCounts = RunCounts()
    """Runs of the experiment by state."""
    experiment_id: str | None = None
    """Id of the MLflow experiment."""


class Experiment(Resource):
    """A line of work, to which Runs belong. It is the MLflow experiment of the same name.

    A Run may name an experiment that nobody has applied; it is then made in MLflow only.
    """

    definition: ClassVar = Definition(
        plural=EXPERIMENTS,
        singular="experiment",
        short="exp",
        columns=(
            Column("Running", ".status.runs.running", "integer"),
            Column("Succeeded", ".status.runs.succeeded", "integer"),
            Column("Failed", ".status.runs.failed", "integer"),
            Column("Ready", ".status.conditions[?(@.type=='Ready')].status", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Experiment"] = "Experiment"
    spec: ExperimentSpec = ExperimentSpec()
    """What the experiment is about."""
    status: ExperimentStatus = ExperimentStatus()
    """What is observed of the experiment; written by the operator."""
