"""Deployment: a model that is served."""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from trainyard_api.contract import DEPLOYMENTS
from trainyard_api.meta import ApiModel, Resource, Status, Time
from trainyard_api.model import StageName
from trainyard_api.resources import Resources
from trainyard_api.schema import Column, Definition, Rule, exactly_one, rules
from trainyard_api.values import ModelVersionNumber, Name


class DeploymentPhase(StrEnum):
    """Where a Deployment is, for the eye; programs read the conditions."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    AVAILABLE = "Available"
    DEGRADED = "Degraded"


class ServedModel(ApiModel):
    """The model to serve, by version or by alias."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                "has(self.version) != has(self.alias)",
                "say what to serve by exactly one of version (a number) and alias (such as"
                " production)",
            )
        )
    }

    name: Name
    """Name of the Model."""
    version: ModelVersionNumber | None = None
    """Number of the version to serve."""
    alias: StageName | None = None
    """Alias or stage whose version to serve; when it moves, the Deployment follows."""


class Rolling(ApiModel):
    """Start the new version next to the old one, and stop the old one once the new one is ready."""


class Rollout(ApiModel):
    """How another version takes over."""

    model_config = {
        "json_schema_extra": rules(
            Rule(exactly_one("rolling"), "a rollout says how: set rolling: {}")
        )
    }

    rolling: Rolling | None = None
    """Start the new version next to the old one, and stop the old one once the new one is ready;
    it has no settings yet."""


class DeploymentSpec(ApiModel):
    """What to serve, and how."""

    model: ServedModel
    """The model to serve."""
    replicas: int = Field(1, ge=0, le=1000)
    """How many pods serve it."""
    resources: Resources | None = None
    """Compute resources of each pod, instead of those of the runtime."""
    runtime: Name = "sklearn"
    """An administrator's preset of serving image, resources and tolerations."""
    rollout: Rollout = Rollout(rolling=Rolling())
    """How another version takes over."""
    batching: bool = True
    """Whether rows of requests that come together may be one call of the model, where they are
    known not to depend on each other; false: each request is a call by itself."""
    max_body_bytes: int | None = Field(None, ge=1024, le=1 << 30)
    """Longest body of a request, instead of 33554432; each takes several times its size in memory
    while it is read."""
    retry: int | None = None
    """Any number; another one tries a version again that was rejected."""


class Target(ApiModel):
    """A version that is served."""

    version: int
    """Number of the version."""
    digest: str
    """SHA-256 of its manifest."""


class Updating(Target):
    """A version that is about to take over."""

    started: Time | None = None
    """When its server began to try, as its node says."""
    since: Time | None = None
    """When the operator saw that, by its own clock: it is given ten minutes from then."""


class Rejected(ApiModel):
    """A version that could not be served; it is not tried again until the target changes or
    spec.retry does."""

    digest: str
    """SHA-256 of its manifest."""
    reason: str
    """Why, as one word."""
    message: str | None = None
    """Why, as a sentence."""
    retry: int | None = None
    """The spec.retry that it failed under."""


class DeploymentStatus(Status):
    """What is observed of the Deployment."""

    phase: DeploymentPhase | None = None
    """Where the Deployment is, for the eye."""
    stable: Target | None = None
    """The version that is served."""
    updating: Updating | None = None
    """The version that is about to take over."""
    replicas: int = 0
    """How many pods there are."""
    ready_replicas: int = 0
    """How many of them are ready."""
    endpoint: str | None = None
    """URL inside the cluster."""
    rejected: Rejected | None = None
    """The version that could not be served."""
    selector: str | None = None
    """Label selector of the pods, for autoscalers."""


class Deployment(Resource):
    """A served model, over the Open Inference Protocol v2 and MLflow's /invocations."""

    definition: ClassVar = Definition(
        plural=DEPLOYMENTS,
        singular="modeldeployment",
        short="mdep",
        scale=True,
        columns=(
            Column("Model", ".spec.model.name"),
            Column("Alias", ".spec.model.alias"),
            Column("Stable", ".status.stable.version", "integer"),
            Column("Updating", ".status.updating.version", "integer"),
            Column("Ready", ".status.readyReplicas", "integer"),
            Column("Phase", ".status.phase"),
            Column("URL", ".status.endpoint"),
            Column("Digest", ".status.stable.digest", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Deployment"] = "Deployment"
    spec: DeploymentSpec
    """What to serve, and how."""
    status: DeploymentStatus = DeploymentStatus()
    """What is observed of the Deployment; written by the operator."""
