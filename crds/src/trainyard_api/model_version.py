"""ModelVersion: one version of a Model, published under the digest of its files."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainyard_api.contract import MAX_VERSION_NAME, MODEL_VERSIONS
from trainyard_api.meta import ApiModel, Resource, Status
from trainyard_api.schema import Column, Definition, Rule, bounded, exactly_one, rules
from trainyard_api.values import Description, Name, RegistryTags, RelativePath

_CONTENT = "make another version with the next number instead"


class ModelVersionPhase(StrEnum):
    """Where a version is, for the eye; programs read the conditions."""

    PENDING = "Pending"
    PUBLISHING = "Publishing"
    READY = "Ready"
    REJECTED = "Rejected"


class RunOutput(ApiModel):
    """A model that a Run logged."""

    name: Name
    """Name of the Run."""
    artifact_path: RelativePath | None = None
    """Name or artifact path of the logged model; absent: the only one that the Run logged."""


class MlflowRunOutput(ApiModel):
    """A model that an MLflow run logged, on a laptop for instance."""

    id: Annotated[
        str,
        Field(max_length=32),
        Rule(
            "self.matches('^[0-9a-f]{32}$')",
            "an MLflow run id has 32 lower-case hexadecimal digits; the UI shows it with the run",
        ),
    ]
    """Id of the MLflow run."""
    artifact_path: RelativePath
    """Name or artifact path of the logged model."""


# What the tracking service could not take for one folder, or would take for another.
_OURS = "^(mlflow-artifacts|models|runs):"
_HOST = r"([a-zA-Z0-9._~:-]*|\\[[0-9a-fA-F:.]+\\](:[0-9]*)?)"
_URI_RULES = (
    Rule(
        r"!self.matches('[\\x00-\\x1f\\x7f]')" + f" && !self.matches('{_OURS}.*[?#]')",
        "a source URI has no control character, and its path ends before ? and #: rename the"
        " folder, or name it by mlflowRun and artifactPath",
    ),
    Rule(
        "!self.matches('^(models|runs)://[^/]') && (!self.matches('^[^:]*://')"
        f" || self.matches('^[^:]*://([^/@\\\\[\\\\]]*@)?{_HOST}(/|$)'))",
        "what follows :// is a host or a bucket, without [, ] and the like: write one slash, as in"
        " mlflow-artifacts:/… and runs:/…, before a path",
    ),
    Rule(
        f"!self.matches('{_OURS}.*/[.][.]?(/|$)') && !self.matches('{_OURS}/+[^/]+/(.*/)?/+[^/]')",
        "the path of a source URI says each folder by its name: remove //, /./ and /../ from it",
    ),
    Rule(
        "!self.startsWith('mlflow-artifacts:') || !self.contains('%')",
        "the path of a source URI is not encoded: write each character itself in place of %, or"
        " name the folder by mlflowRun and artifactPath",
    ),
)


class ModelSource(ApiModel):
    """Where the model's files come from; exactly one of run, mlflowRun and uri."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("run", "mlflowRun", "uri"),
                "a version's source is exactly one of run, mlflowRun and uri",
            ),
            Rule("self == oldSelf", f"a version's source never changes: {_CONTENT}"),
        )
    }

    run: RunOutput | None = None
    """A model that a Run logged."""
    mlflow_run: MlflowRunOutput | None = None
    """A model that an MLflow run logged."""
    uri: (
        Annotated[
            str,
            Field(max_length=1000),
            Rule(
                r"self.matches('^[a-z][a-z0-9+.-]*:/[^\\s]+$')",
                "a source URI names its store first, such as mlflow-artifacts:/1/…, runs:/… or"
                " s3://…",
            ),
            *_URI_RULES,
        ]
        | None
    ) = None
    """URI of the folder that has the MLmodel file."""


class ModelVersionSpec(ApiModel):
    """Which version of which model, and where it comes from."""

    model: Name
    """Name of the Model."""
    version: int = Field(ge=1, le=999_999_999)
    """Number of the version; it is never used again."""
    source: ModelSource
    """Where the model's files come from."""
    retry: int | None = None
    """Any number; another one tries again to publish a version whose publishing failed."""
    description: Description | None = None
    """What is special about this version, in Markdown."""
    tags: RegistryTags | None = None
    """Tags of the version."""


class ModelVersionStatus(Status):
    """What is observed of the version."""

    phase: ModelVersionPhase | None = None
    """Where the version is, for the eye."""
    spent_attempts: int | None = None
    """The last attempt to publish it that counts no more, since it was rejected after it."""
    retry: int | None = None
    """The spec.retry that it was rejected under."""
    digest: Annotated[str, Field(max_length=71)] | None = None
    """SHA-256 of the manifest of the published files."""
    size: int | None = None
    """Size of all published files, in bytes."""
    flavors: Annotated[dict[str, str], bounded(most=32)] = {}
    """MLflow flavors and the versions of their libraries."""
    signature: Annotated[str, Field(max_length=4096)] | None = None
    """Inputs and outputs of the model, as MLflow's JSON, up to 4 KiB."""
    requirements: Annotated[list[str], Field(max_length=100)] = []
    """pip requirements of the model, the first 100."""
    run_id: str | None = None
    """Id of the MLflow run that logged the model."""
    run: str | None = None
    """Name of the Run that logged the model."""
    experiment: str | None = None
    """Name of the MLflow experiment of that run."""
    metrics: Annotated[dict[str, str], bounded(most=500)] = {}
    """Metrics that gates read, as they were when the version was published, as text."""
    source: str | None = None
    """URI that the source was resolved to."""


class ModelVersion(Resource):
    """One version of a Model. Its files are published once under their digest, and never change."""

    definition: ClassVar = Definition(
        plural=MODEL_VERSIONS,
        singular="modelversion",
        short="mv",
        max_name=MAX_VERSION_NAME,
        rules=(
            Rule(
                # Not by string(version): the API server can't tell how long that would get.
                "self.metadata.name.startsWith(self.spec.model + '-')"
                " && self.metadata.name.substring(size(self.spec.model)).matches("
                "'^-[1-9][0-9]{0,8}$')"
                " && int(self.metadata.name.substring(size(self.spec.model) + 1))"
                " == self.spec.version",
                "a ModelVersion is named by spec.model, a dash and spec.version, such as digits-2:"
                " rename it, or mend its spec",
            ),
        ),
        columns=(
            Column("Model", ".spec.model"),
            Column("Version", ".spec.version", "integer"),
            Column("Phase", ".status.phase"),
            Column("Servable", ".status.conditions[?(@.type=='Servable')].status"),
            Column("Run", ".status.run"),
            Column("Digest", ".status.digest", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["ModelVersion"] = "ModelVersion"
    spec: ModelVersionSpec
    """Which version of which model, and where it comes from."""
    status: ModelVersionStatus = ModelVersionStatus()
    """What is observed of the version; written by the operator."""
