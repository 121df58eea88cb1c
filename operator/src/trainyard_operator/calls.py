"""Descriptions of the calls that plans ask for; effects.py makes them.

Frozen data and pure folding of answers into a status; no I/O here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from trainyard_operator.plan import Effect, Object, Ref


@dataclass(frozen=True, slots=True)
class RecordRun(Effect):
    """Make the MLflow run of a Run (idempotent PUT).

    Attributes:
        start_time: Milliseconds since 1970.
    """

    namespace: str
    run_id: str
    name: str
    experiment: str
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    start_time: int

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep the MLflow experiment's id."""
        return {**status, "experimentID": str(answer["experimentID"])}


@dataclass(frozen=True, slots=True)
class StopLog(Effect):
    """Ship what is left of an attempt's log, and archive it as an artifact of the run."""

    condition: ClassVar[str] = "Recorded"

    namespace: str
    run_id: str
    attempt: int
    note: str = ""

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep the artifact's path."""
        return {**status, "logArtifact": str(answer["artifact"])}


@dataclass(frozen=True, slots=True)
class FinishRun(Effect):
    """Close the MLflow run of a Run; its answer holds metrics and the models logged.

    Attributes:
        outcome: FINISHED, FAILED or KILLED.
        end_time: Milliseconds since 1970.
    """

    condition: ClassVar[str] = "Recorded"

    namespace: str
    run_id: str
    outcome: str
    end_time: int
    parameters: Mapping[str, Any]

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep at most 20 metrics and the headline one."""
        metrics = {str(k): str(v) for k, v in list((answer.get("metrics") or {}).items())[:20]}
        headline = str(answer.get("metric") or next(iter(metrics), ""))
        folded = {**status, "metrics": metrics}
        if headline in metrics:
            folded["metric"] = f"{headline}={metrics[headline]}"
        return folded


@dataclass(frozen=True, slots=True)
class CreateVersion(Effect):
    """Register what a finished Run logged as the next ModelVersion of a Model.

    Taken from an earlier FinishRun of the same plan when artifact_path is empty. One version
    per Run, whatever happens: an existing one with the Run's label is the answer.
    """

    condition: ClassVar[str] = "Recorded"

    namespace: str
    model: str
    run: str
    run_uid: str
    artifact_path: str = ""

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Keep the version's name."""
        return {**status, "modelVersion": str(answer["name"])}


@dataclass(frozen=True, slots=True)
class AddFinalizer(Effect):
    """Hold an object back from deletion."""

    ref: Ref
    finalizer: str


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer(Effect):
    """Let an object that is being deleted go. Already gone is fine."""

    ref: Ref
    finalizer: str


@dataclass(frozen=True, slots=True)
class SetAlias(Effect):
    """Write spec.aliases.<alias> of a Model by server-side apply, unforced, as the promoter.

    An alias owned by another field manager is Retry("AliasOwnedElsewhere") naming it.

    Attributes:
        aliases: All aliases that the promoter shall own afterwards: it gives up what is absent.
    """

    namespace: str
    model: str
    aliases: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Audit(Effect):
    """Append one line to a Model's audit trail.

    Attributes:
        line: JSON values only; `time` (RFC 3339) and `id` make the object's name, so the same
            line written twice is one object.
    """

    namespace: str
    model: str
    line: Mapping[str, Any] = field(default_factory=dict)
