"""What is asked of others for a Run: recording it, following and archiving its logs, registering.

Descriptions only, and the pure folding of answers into a status; performers.py makes the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainyard_api.logged_models import candidates

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import Terminal
from trainyard_operator.engine.plan import Effect, Object

_REGISTERED = "Registered"


@dataclass(frozen=True, slots=True)
class RecordRun(Effect):
    """Make the MLflow run of a Run, clean for an attempt that begins (idempotent PUT).

    Its answer is not folded: it comes before the first status write, which it must not cause.

    Attributes:
        start_time: Milliseconds since 1970.
        previous: How the attempt before ended: {status, endTime}; empty for the first.
    """

    namespace: str
    run_id: str
    name: str
    experiment: str
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    start_time: int
    attempt: int = 1
    previous: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecallExperiment(Effect):
    """Remember what RecordRun answered, without asking anybody; unknown after a restart."""

    run_id: str

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep the MLflow experiment's id."""
        found = answer.get("experimentID")
        return {**status, "experimentID": str(found)} if found else status


@dataclass(frozen=True, slots=True)
class FollowLog(Effect):
    """Ship what `main` of an attempt's pod prints, from now on.

    Attributes:
        pod: Empty when there is none to read.
        pod_uid: Tells two pods of one name apart.
        cut: The pod's end left no time to read the last of it; the log shall say so.
        index: The pod's completion index: each has a log of its own.
        is_retried: Another attempt follows: the log is all there soon, not with the Run's end.
        is_final: The program has ended, and the Run with it: its last lines are read at once.
    """

    namespace: str
    run: str
    run_id: str
    attempt: int
    pod: str
    pod_uid: str
    cut: bool = False
    index: int = 0
    is_retried: bool = False
    is_final: bool = False

    @property
    def log(self) -> names.Log:
        """Return which log this is."""
        return names.Log(self.namespace, self.run_id, self.attempt, self.index)


@dataclass(frozen=True, slots=True)
class FinishRun(Effect):
    """Close the MLflow run of a Run, its logs archived; the answer holds metrics and models.

    Attributes:
        logs: Of all attempts, the last one last. Nothing is closed before they are shipped.
        outcome: FINISHED, FAILED or KILLED.
        end_time: Milliseconds since 1970.
        anew: Makes the MLflow run again if there is none any more: its database was lost.
    """

    condition: str = field(default="Recorded", kw_only=True)

    namespace: str
    run_id: str
    outcome: str
    end_time: int
    parameters: Mapping[str, Any]
    logs: tuple[FollowLog, ...] = ()
    anew: RecordRun | None = None

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep at most 20 metrics, the headline one, and where the last log is."""
        metrics = {str(k): str(v) for k, v in list((answer.get("metrics") or {}).items())[:20]}
        headline = str(answer.get("metric") or next(iter(metrics), ""))
        folded = {**status, "metrics": metrics}
        if answer.get("experimentID"):
            folded["experimentID"] = str(answer["experimentID"])
        log = (answer.get("logs") or {}).get(str(self.logs[-1].attempt)) if self.logs else None
        if log:
            folded["logArtifact"] = str(log)
        if headline in metrics:
            # A column for the eye; metrics has all digits.
            folded["metric"] = f"{headline}={float(metrics[headline]):.6g}"
        return folded


@dataclass(frozen=True, slots=True)
class CreateVersion(Effect):
    """Register what a finished Run logged as the next ModelVersion of a Model.

    Without artifact_path the logged model is found in the answer of the plan's FinishRun or
    AskModels. One version per Run, whatever happens: an existing one with the Run's label is the
    answer.
    """

    condition: str = field(default=_REGISTERED, kw_only=True)

    namespace: str
    model: str
    run: str
    run_uid: str
    artifact_path: str = ""

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep the version's name, and name it in the condition if that says so already."""
        name = str(answer["name"])
        said = f"What it logged is {name}"
        held = [
            {**each, "message": said} if _is_registered(each) else each
            for each in status.get("conditions") or ()
        ]
        return {**status, "modelVersion": name, "conditions": held}


def _is_registered(condition: Mapping[str, Any]) -> bool:
    return bool(condition["type"] == _REGISTERED and condition["status"] == "True")


@dataclass(frozen=True, slots=True)
class AskModels(Effect):
    """Ask which models a finished run logged, when registering is tried again."""

    condition: str = field(default=_REGISTERED, kw_only=True)

    namespace: str
    run_id: str


def version_object(call: CreateVersion, number: int, path: str) -> Object:
    """Return the ModelVersion that a Run registers, of the model at an artifact path."""
    source = {"name": call.run, "artifactPath": path}
    return {
        "apiVersion": objects.API_VERSION,
        "kind": "ModelVersion",
        "metadata": {
            "name": names.model_version(call.model, number),
            "namespace": call.namespace,
            "labels": {
                names.MODEL: call.model,
                names.RUN: call.run,
                names.RUN_UID: call.run_uid,
            },
            "finalizers": [names.RETIRE_FINALIZER],
        },
        "spec": {"model": call.model, "version": number, "source": {"run": source}},
    }


def model_object(call: CreateVersion) -> Object:
    """Return the Model without gates that registering makes when there is none."""
    return {
        "apiVersion": objects.API_VERSION,
        "kind": "Model",
        "metadata": {
            "name": call.model,
            "namespace": call.namespace,
            "finalizers": [names.VERSIONS_FINALIZER],
        },
        "spec": {},
    }


def deleted(call: CreateVersion) -> str:
    """Return what is said of a Model that is being deleted: it would come back without gates."""
    return (
        f"Model {call.model} is being deleted, so nothing was registered: make it anew, or let"
        f" `trainyard register {call.run} --as {call.model} -n {call.namespace}` make one without"
        " gates"
    )


def artifact_path(call: CreateVersion, answers: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which of the models that a Run logged is to be registered.

    Raises:
        Terminal: The Run logged no model, or several, and none was named.
    """
    if call.artifact_path:
        return call.artifact_path
    asked = answers.get("FinishRun") or answers.get("AskModels") or {}
    paths = candidates(asked.get("models") or [])
    if len(paths) == 1:
        return paths[0]
    if not paths:
        raise Terminal(
            "NoModelLogged",
            f"The run logged no model to register as {call.model}: log one, for example with"
            " mlflow.autolog() or mlflow.sklearn.log_model()",
        )
    raise Terminal(
        "SeveralModelsLogged",
        f"The run logged {len(paths)} models ({', '.join(paths[:5])}), and none was named: choose"
        f" with `trainyard register {call.run} --artifact {paths[-1]} --as {call.model}"
        f" -n {call.namespace}`",
    )
