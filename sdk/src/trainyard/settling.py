"""When is a resource done, and did it go well? Pure: one resource in, a verdict out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainyard_api.deployment import Deployment
from trainyard_api.experiment import Experiment
from trainyard_api.meta import Condition, Resource
from trainyard_api.model import Model
from trainyard_api.model_version import ModelVersion
from trainyard_api.run import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a resource stands: not settled, settled well, or settled badly; and why."""

    settled: bool
    good: bool
    reason: str = ""
    message: str = ""


def judge(resource: Resource, condition: str = "") -> Verdict:
    """Tell whether *resource* has come to an outcome, any outcome.

    Args:
        condition: settle on this condition being true instead of on the kind's own outcomes.
    """
    if condition:
        found = condition_of(resource, condition)
        done = found is not None and found.status == "True" and _is_current(resource, found)
        return _verdict(found, settled=done, good=done)
    return _JUDGES[type(resource)](resource)


def condition_of(resource: Resource, kind: str) -> Condition | None:
    """Return the condition of a type, or None."""
    status: Any = getattr(resource, "status", None)
    found: Condition | None = status.condition(kind) if status is not None else None
    return found


def _is_current(resource: Resource, condition: Condition) -> bool:
    return (condition.observed_generation or 0) >= resource.metadata.generation


def _verdict(condition: Condition | None, *, settled: bool, good: bool) -> Verdict:
    if condition is None:
        return Verdict(settled, good, "Pending", "the operator has not looked at it yet")
    return Verdict(settled, good, condition.reason, condition.message)


def _run(run: Run) -> Verdict:
    finished = condition_of(run, "Finished")
    succeeded = condition_of(run, "Succeeded")
    if finished is None or finished.status != "True":
        return _verdict(finished, settled=False, good=False)
    return _verdict(
        succeeded or finished,
        settled=True,
        good=succeeded is not None and succeeded.status == "True",
    )


def _version(version: ModelVersion) -> Verdict:
    published = condition_of(version, "Published")
    phase = version.status.phase
    return _verdict(published, settled=phase in {"Ready", "Rejected"}, good=phase == "Ready")


def _deployment(deployment: Deployment) -> Verdict:
    """Available for the spec as it is now, or its version rejected."""
    available = condition_of(deployment, "Available")
    if deployment.status.rejected is not None and deployment.status.updating is None:
        rejected = deployment.status.rejected
        return Verdict(True, False, rejected.reason, rejected.message or "")
    servable = condition_of(deployment, "Servable")
    if servable is not None and servable.status == "False":
        return _verdict(servable, settled=True, good=False)
    good = (
        available is not None
        and available.status == "True"
        and _is_current(deployment, available)
        and deployment.status.updating is None
    )
    return _verdict(available, settled=good, good=good)


def _ready(resource: Model | Experiment) -> Verdict:
    """Looked at in its present form; a Model that refuses a promotion is looked at, too."""
    ready = condition_of(resource, "Ready")
    seen = ready is not None and _is_current(resource, ready)
    return _verdict(ready, settled=seen, good=seen and ready is not None and ready.status == "True")


_JUDGES: dict[type[Resource], Callable[[Any], Verdict]] = {
    Run: _run,
    ModelVersion: _version,
    Deployment: _deployment,
    Model: _ready,
    Experiment: _ready,
}
