"""Model: a registered model, its pointers, and what a version must show to be pointed at."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainyard_api.contract import MODELS
from trainyard_api.meta import ApiModel, Resource, Status, Time
from trainyard_api.schema import Column, Definition, Rule, bounded, map_list, rules
from trainyard_api.values import Description, MetricName, ModelVersionNumber, RegistryTags

_IS_ALIAS = (
    r"{0}.matches('^[A-Za-z0-9_-]+$') && !{0}.matches('^[vV][0-9]+$')"
    " && {0}.lowerAscii() != 'latest'"
)
_ALIAS_RULE = (
    "has letters, digits, _ and -, and is neither latest nor v and a number, which MLflow gives"
    " other meanings; rename it"
)

StageName = Annotated[
    str,
    Field(max_length=63),
    Rule(_IS_ALIAS.format("self"), f"a stage is an alias, whose name {_ALIAS_RULE}"),
]
Format = Annotated[str, Field(min_length=1, max_length=63)]
Aliases = Annotated[dict[str, ModelVersionNumber], bounded(most=256)]


class Promotion(StrEnum):
    """Who moves a stage to another version."""

    AUTOMATIC = "automatic"
    APPROVAL = "approval"


class Goal(StrEnum):
    """Which way a metric is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class Requirement(ApiModel):
    """What one metric of a version must show."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                "has(self.threshold) != has(self.betterThan)",
                "a requirement compares with exactly one of threshold (a number) and betterThan"
                " (a stage)",
            ),
            Rule(
                "!has(self.margin) || has(self.betterThan)",
                "margin says by how much to beat betterThan: move it into the threshold instead",
            ),
        )
    }

    metric: MetricName
    """Name of the metric, as the Run logged it."""
    goal: Goal
    """Whether more is better (maximize) or less (minimize)."""
    threshold: float | None = None
    """The least value that passes, or with minimize the greatest."""
    better_than: StageName | None = None
    """The stage whose version must be beaten on this metric; an empty stage is."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """By how much to beat it, in the metric's own unit; absent: by anything above nothing."""


class Stage(ApiModel):
    """A policy for one alias: what a version must show to hold it, and who moves it."""

    name: StageName
    """Name of the stage, which is the alias."""
    promotion: Promotion = Promotion.APPROVAL
    """automatic: the newest version that passes; approval: one who may `promote` moves it."""
    requires: Annotated[list[Requirement], Field(max_length=16)] = []
    """What a version must show, all of it."""


class ModelSpec(ApiModel):
    """What is wanted of the model."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                "!has(self.stages) || self.stages.all(stage, !has(stage.requires) ||"
                " stage.requires.all(requirement, !has(requirement.betterThan) ||"
                " self.stages.exists(other, other.name == requirement.betterThan)))",
                "betterThan names a stage that this Model does not have: add the stage, or name"
                " another",
                field_path=".stages",
            ),
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """Name of the model in MLflow, if it is not metadata.name: because that is no legal name of
    a resource, or the model was renamed there."""
    description: Description | None = None
    """What the model is, in Markdown."""
    tags: RegistryTags | None = None
    """Tags of the registered model."""
    allowed_formats: Annotated[list[Format], Field(max_length=32)] = []
    """MLflow flavors of which a version must have one, such as sklearn, pyfunc or onnx; empty:
    any."""
    aliases: (
        Annotated[
            Aliases,
            Rule(
                f"self.all(alias, size(alias) <= 255 && {_IS_ALIAS.format('alias')})",
                f"an alias {_ALIAS_RULE}",
            ),
        ]
        | None
    ) = None
    """The pointers that are wanted: version number by alias. A stage is an alias with a policy."""
    stages: Annotated[list[Stage], map_list("name", max_items=16)] = []
    """Policies for aliases."""
    promoters: (
        Annotated[dict[str, Annotated[str, Field(max_length=256)]], bounded(most=256)] | None
    ) = None
    """Who moved each stage that needs approval, by stage; whoever moves one writes his own name
    in the same write."""
    force: ModelVersionNumber | None = None
    """The version that may hold any stage, whatever its metrics."""


class Refusal(ApiModel):
    """Why a stage does not hold what is wanted."""

    version: int
    """Number of the version that was refused."""
    reason: str
    """Why, as one word."""
    message: str
    """Why, as a sentence with the figures."""


class StageStatus(ApiModel):
    """What a stage holds."""

    name: str
    """Name of the stage."""
    version: int | None = None
    """Number of the version that it holds; absent: none."""
    candidate: int | None = None
    """Number of the newest version that could hold it next."""
    since: Time | None = None
    """When it came to hold this version."""
    by: str | None = None
    """Who moved it."""
    previous: int | None = None
    """Number of the version that it held before."""
    refusal: Refusal | None = None
    """Why it does not hold what is wanted."""


class Move(ApiModel):
    """A move of a stage from one version to another."""

    time: Time
    """When it moved."""
    stage: str
    """Name of the stage."""
    from_: Annotated[int | None, Field(alias="from")] = None
    """Number of the version that it held; absent: none."""
    to: int | None = None
    """Number of the version that it holds; absent: none."""
    by: str = ""
    """Who moved it."""
    reason: str = ""
    """Why it moved, as one word."""


class ModelStatus(Status):
    """What is observed of the model."""

    stages: Annotated[list[StageStatus], map_list("name", max_items=16)] = []
    """What the stages hold; Deployments follow this."""
    # As many as spec.aliases and spec.stages have together: a stage may hold without an alias.
    aliases: Annotated[dict[str, int], bounded(most=272)] = {}
    """What all aliases hold: those that are stages only after their gates."""
    latest_version: int | None = None
    """Highest number of a version that exists."""
    versions: int = 0
    """How many versions exist."""
    retired: int = 0
    """Highest number of a version that was deleted; no number is used again."""
    retired_versions: Annotated[list[int], Field(max_length=100)] = []
    """Numbers of the last 100 versions that were deleted."""
    history: Annotated[list[Move], Field(max_length=20)] = []
    """The last 20 moves, oldest first."""
    unaudited: int = 0
    """How many of them, the newest, are not on the audit trail yet."""


class Model(Resource):
    """A registered model. Its aliases are the only pointers to versions; a stage is an alias
    with a policy."""

    definition: ClassVar = Definition(
        plural=MODELS,
        singular="model",
        short="mdl",
        columns=(
            Column("MLflow Name", ".spec.name"),
            Column("Latest", ".status.latestVersion", "integer"),
            Column("Versions", ".status.versions", "integer"),
            Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
            Column("Aliases", ".status.aliases", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Model"] = "Model"
    spec: ModelSpec = ModelSpec()
    """What is wanted of the model."""
    status: ModelStatus = ModelStatus()
    """What holds; written by the operator."""
