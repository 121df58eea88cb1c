"""Run: one execution of a program, over as many attempts as it takes."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainyard_api.contract import DEFAULT_EXPERIMENT, RESERVED_ENV, RUNS
from trainyard_api.environment import EnvFrom, EnvVar
from trainyard_api.meta import ApiModel, Resource, Status, Time
from trainyard_api.pod import PodTemplate
from trainyard_api.resources import Resources
from trainyard_api.schema import SCALAR, Column, Definition, Rule, bounded, map_list, rules
from trainyard_api.source import Source
from trainyard_api.values import Duration, Name, RelativePath


class RunPhase(StrEnum):
    """Where a Run is, for the eye; programs read the conditions."""

    PENDING = "Pending"
    SUSPENDED = "Suspended"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class Retry(ApiModel):
    """How many further attempts follow a failed one, by whose fault it was."""

    user_error: int = Field(0, ge=0, le=100)
    """Attempts after the program failed: a non-zero exit, out of memory."""
    infrastructure: int = Field(3, ge=0, le=100)
    """Attempts after the cluster failed: a lost or evicted pod, preemption."""


class Register(ApiModel):
    """The model to register the Run's result in, once it has succeeded."""

    model: Name
    """Name of the Model; one that does not exist is made, without stages."""
    artifact_path: RelativePath | None = None
    """Name or artifact path of the logged model; absent: the only one that the Run itself logged,
    or the `best_estimator` of a search."""


_NEVER_CHANGES = (
    "a Run never changes but for suspend, cancel and ttlSecondsAfterFinished: use a new name,"
    " or `kubectl create` with generateName"
)
_ALWAYS_THERE = ("experiment", "command", "retry")
_OPTIONAL = (
    "source",
    "args",
    "runtime",
    "image",
    "env",
    "envFrom",
    "resources",
    "podTemplate",
    "timeout",
    "register",
)


def _unchanged(field: str, of: str = "self", before: str = "oldSelf") -> str:
    return (
        f"has({of}.{field}) == has({before}.{field})"
        f" && (!has({of}.{field}) || {of}.{field} == {before}.{field})"
    )


# One rule for each field, so that the refusal names the field. Parameters have values of
# several types, which CEL does not show: dyn() gets past its type checker, for equality and keys.
_RULES = rules(
    *(
        Rule(f"self.{field} == oldSelf.{field}", _NEVER_CHANGES, field_path=f".{field}")
        for field in _ALWAYS_THERE
    ),
    *(Rule(_unchanged(field), _NEVER_CHANGES, field_path=f".{field}") for field in _OPTIONAL),
    Rule(
        _unchanged("parameters", "dyn(self)", "dyn(oldSelf)"),
        _NEVER_CHANGES,
        field_path=".parameters",
    ),
    Rule(
        "!oldSelf.cancel || self.cancel",
        "a cancelled Run stays cancelled: to run it again use a new name, or `kubectl create`"
        " with generateName",
        field_path=".cancel",
    ),
    Rule(
        "has(self.runtime) != has(self.image)",
        "set exactly one of runtime (an administrator's preset, such as sklearn) and image",
    ),
    Rule(
        "!has(dyn(self).parameters) || dyn(self).parameters.all(name,"
        " name.matches('^[A-Za-z_][A-Za-z0-9_.-]*$') && size(name) <= 100)",
        "a parameter's name begins with a letter, goes on with letters, digits, _, . and -, and"
        " has at most 100 characters, because it becomes an argument --NAME=VALUE; rename it",
        field_path=".parameters",
    ),
)
_ENV_RULE = Rule(
    f"self.all(variable, !(variable.name in {list(RESERVED_ENV)}))",
    f"{', '.join(RESERVED_ENV)} are Trainyard's, so that the Run is recorded as its own:"
    " remove them from env",
)

Words = Annotated[list[Annotated[str, Field(max_length=16384)]], Field(max_length=256)]
Parameters = Annotated[dict[str, Annotated[str | int | float | bool, SCALAR]], bounded(most=256)]


class RunSpec(ApiModel):
    """What to run. It never changes, but for suspend, cancel and ttlSecondsAfterFinished."""

    model_config = {"json_schema_extra": _RULES}

    experiment: str = Field(DEFAULT_EXPERIMENT, min_length=1, max_length=250)
    """The MLflow experiment to record the Run in; it is made if there is none of this name."""
    source: Source | None = None
    """The code, unpacked in /work; absent: the image brings it."""
    command: Annotated[Words, Field(min_length=1)]
    """The program and its first arguments; no shell takes part."""
    args: Words = []
    """Further arguments of the program, before the parameters."""
    parameters: Parameters | None = None
    """Parameters by name, each a string, number or boolean. They become arguments --NAME=VALUE,
    environment variables TRAINYARD_PARAM_NAME, and MLflow params that the code did not log. A
    whole number loses its fraction (1.0 arrives as 1): quote what must keep its spelling."""
    runtime: Name | None = None
    """An administrator's preset of image, resources and tolerations, such as sklearn."""
    image: (
        Annotated[
            str,
            Field(min_length=1, max_length=500),
            Rule(r"!self.matches('\\s')", "an image reference has no space: remove it"),
        ]
        | None
    ) = None
    """The container image, instead of a runtime."""
    env: Annotated[list[EnvVar], map_list("name", max_items=128), _ENV_RULE] | None = None
    """Environment variables."""
    env_from: Annotated[list[EnvFrom], Field(max_length=16)] | None = None
    """Environment variables from all keys of Secrets and ConfigMaps."""
    resources: Resources | None = None
    """Compute resources, instead of those of the runtime."""
    pod_template: PodTemplate | None = None
    """What to add to the pods: labels, volumes, where to schedule them."""
    retry: Retry = Retry()
    """How many further attempts follow a failed one."""
    timeout: Duration | None = None
    """How long one attempt may run, such as 90s or 1h30m; absent: without limit."""
    suspend: bool = False
    """Hold the Run: its pod, if any, is stopped, and none is started until this is false."""
    cancel: bool = False
    """Stop the Run for good; this cannot be taken back."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = None
    """Seconds after the end when pods and Jobs are deleted, once the log is archived; absent: the
    administrator's setting (a week). The Run itself stays."""
    register_: Annotated[Register | None, Field(alias="register")] = None
    """The model to register the result in."""


class Attempt(ApiModel):
    """One attempt: a Job and its pod."""

    number: int = Field(ge=1)
    """Number of the attempt, from 1."""
    job: str
    """Name of the Job."""
    pod: str | None = None
    """Name of the pod."""
    start_time: Time | None = None
    """When the attempt began."""
    completion_time: Time | None = None
    """When it ended."""
    observed_start_time: Time | None = None
    """When the operator first saw it run, by its own clock; spec.timeout counts from here."""
    observed_completion_time: Time | None = None
    """When the operator saw that it had ended, by its own clock; pauses count from here."""
    exit_code: int | None = None
    """Exit code of the container `main`."""
    reason: str | None = None
    """Why it ended, as one word."""
    message: str | None = None
    """Why it ended, as a sentence."""
    log_tail: Annotated[list[str], Field(max_length=10)] = []
    """The last lines that it printed, at most 10."""


class Retries(ApiModel):
    """How many further attempts followed, by whose fault the last one had ended."""

    user_error: int = Field(0, ge=0)
    """After the program failed."""
    infrastructure: int = Field(0, ge=0)
    """After the cluster failed."""


class RunStatus(Status):
    """What is observed of the Run."""

    phase: RunPhase | None = None
    """Where the Run is, for the eye."""
    run_id: Annotated[str, Field(max_length=32)] | None = None
    """Id of the MLflow run, 32 hexadecimal digits; written once."""
    experiment_id: str | None = None
    """Id of the MLflow experiment."""
    start_time: Time | None = None
    """When the first attempt began."""
    completion_time: Time | None = None
    """When the Run finished."""
    attempts: Annotated[list[Attempt], map_list("number", max_items=10)] = []
    """The last 10 attempts."""
    attempt_count: int = Field(0, ge=0)
    """Attempts so far."""
    retries: Retries | None = None
    """What spec.retry has been used for so far."""
    waiting_since: Time | None = None
    """Since when it waits for what time does not mend, by the operator's own clock."""
    metrics: Annotated[dict[str, str], bounded(most=20)] = {}
    """The last values of at most 20 metrics, as text, because NaN is no JSON number."""
    metric: str | None = None
    """The headline metric and its value, as name=value."""
    duration: str | None = None
    """Time from start to completion, such as 3m5s."""
    model_version: str | None = None
    """Name of the ModelVersion that was made of the result."""
    commit: str | None = None
    """The git commit that all attempts use."""
    image_id: str | None = None
    """The image by digest that the last attempt ran."""
    log_artifact: str | None = None
    """Artifact path of the last attempt's log."""


class Run(Resource):
    """One execution of a program, over as many attempts as it takes, recorded as an MLflow run.

    Deleting a Run keeps its MLflow record.
    """

    definition: ClassVar = Definition(
        plural=RUNS,
        singular="run",
        short="run",
        columns=(
            Column("Experiment", ".spec.experiment"),
            Column("Phase", ".status.phase"),
            Column("Attempts", ".status.attemptCount", "integer"),
            Column("Metric", ".status.metric"),
            Column("Duration", ".status.duration"),
            Column("Model", ".status.modelVersion"),
            Column("Reason", ".status.conditions[?(@.type=='Finished')].reason", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Run"] = "Run"
    spec: RunSpec
    """What to run."""
    status: RunStatus = RunStatus()
    """What is observed of the Run; written by the operator."""
