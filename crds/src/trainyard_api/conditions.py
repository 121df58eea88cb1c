"""Conditions: their types and reasons, and how one is set. Pure.

A reason is an interface: programs compare it, docs list it, so it is an enum here. Messages
are made where the facts are.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from trainyard_api.moment import rfc3339

Object = dict[str, Any]


class ConditionType(StrEnum):
    """Types of conditions, on all kinds."""

    FINISHED = "Finished"
    SUCCEEDED = "Succeeded"
    RECORDED = "Recorded"
    CLEANED_UP = "CleanedUp"
    REGISTERED = "Registered"
    READY = "Ready"
    AUDITED = "Audited"
    PUBLISHED = "Published"
    SERVABLE = "Servable"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"


class TroubleReason(StrEnum):
    """Why the operator cannot go on, whatever the kind; it tries again by itself."""

    TRACKING_UNAVAILABLE = "TrackingUnavailable"
    TRACKING_REFUSED = "TrackingRefused"
    API_SERVER_UNAVAILABLE = "APIServerUnavailable"
    CONFLICT = "Conflict"
    NOT_FOUND = "NotFound"
    FORBIDDEN = "Forbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    INVALID_SPEC = "InvalidSpec"


class WaitingReason(StrEnum):
    """Why a Run is not Finished yet."""

    PENDING = "Pending"
    SUSPENDED = "Suspended"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUSPENDING = "Suspending"
    CANCELLING = "Cancelling"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONFIG_MISSING = "ConfigMissing"
    UNSCHEDULABLE = "Unschedulable"
    START_FAILED = "StartFailed"
    QUOTA_EXCEEDED = "QuotaExceeded"
    RESOURCES_MISSING = "ResourcesMissing"
    JOB_NAME_TAKEN = "JobNameTaken"
    SECRET_NAME_TAKEN = "SecretNameTaken"  # noqa: S105  # a reason
    JOB_SUSPENDED = "JobSuspended"


class FinalReason(StrEnum):
    """How a Run, or an attempt of it, ended."""

    COMPLETED = "Completed"
    EXIT_CODE = "ExitCode"
    OUT_OF_MEMORY = "OutOfMemory"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"
    POD_LOST = "PodLost"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    TRACKING_MOVED = "TrackingMoved"
    RESOURCES_MISSING = "ResourcesMissing"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    INVALID_IMAGE_NAME = "InvalidImageName"
    IMAGE_RUNS_AS_ROOT = "ImageRunsAsRoot"
    CONFIG_MISSING = "ConfigMissing"
    SOURCE_FAILED = "SourceFailed"
    INIT_FAILED = "InitFailed"
    START_FAILED = "StartFailed"
    INVALID_SPEC = "InvalidSpec"


class RecordedReason(StrEnum):
    """Whether the metrics and the log of a finished Run are kept."""

    RECORDED = "Recorded"
    RECORDING = "Recording"


class RegisteredReason(StrEnum):
    """Whether what a Run logged is registered, if spec.register asks for it."""

    REGISTERED = "Registered"
    REGISTERING = "Registering"
    RUN_NOT_SUCCEEDED = "RunNotSucceeded"
    NO_MODEL_LOGGED = "NoModelLogged"
    SEVERAL_MODELS_LOGGED = "SeveralModelsLogged"
    MODEL_DELETED = "ModelDeleted"
    VERSION_NUMBER_TAKEN = "VersionNumberTaken"


class CleanedUpReason(StrEnum):
    """Whether what a finished Run left behind could be deleted; told only once it could not."""

    CLEANED_UP = "CleanedUp"


class ExperimentReason(StrEnum):
    """Whether an Experiment is Ready."""

    READY = "Ready"


class ModelReason(StrEnum):
    """Whether a Model is Ready, which is whether its stages hold what is wanted."""

    ALL_STAGES_HELD = "AllStagesHeld"
    GATE_REFUSED = "GateRefused"
    ALIAS_OWNED_ELSEWHERE = "AliasOwnedElsewhere"
    VERSION_MISSING = "VersionMissing"
    VERSION_NOT_PUBLISHED = "VersionNotPublished"
    VERSION_REJECTED = "VersionRejected"
    VERSION_DELETING = "VersionDeleting"


class RefusalReason(StrEnum):
    """Why a stage or an alias does not take a version, in the status of its Model."""

    METRIC_MISSING = "MetricMissing"
    METRIC_NOT_A_NUMBER = "MetricNotANumber"
    BELOW_THRESHOLD = "BelowThreshold"
    ABOVE_THRESHOLD = "AboveThreshold"
    NOT_BETTER = "NotBetter"
    INCUMBENT_NOT_COMPARABLE = "IncumbentNotComparable"
    VERSION_MISSING = "VersionMissing"
    VERSION_NOT_PUBLISHED = "VersionNotPublished"
    VERSION_REJECTED = "VersionRejected"


class MoveReason(StrEnum):
    """Why a stage moved, in the history of its Model."""

    GATES_PASSED = "GatesPassed"
    NO_GATES = "NoGates"
    HELD_BEFORE = "HeldBefore"
    FORCED = "Forced"
    RELEASED = "Released"


class AuditedReason(StrEnum):
    """Whether a Model's moves are on the audit trail; told only once they could not be."""

    AUDITED = "Audited"


class PublishedReason(StrEnum):
    """Whether a ModelVersion is Published."""

    PUBLISHED = "Published"
    PUBLISHING = "Publishing"
    SOURCE_INCOMPLETE = "SourceIncomplete"
    SOURCE_MISSING = "SourceMissing"
    FORMAT_NOT_ALLOWED = "FormatNotAllowed"
    PUBLISH_FAILED = "PublishFailed"
    MODEL_MISSING = "ModelMissing"
    NUMBER_USED = "NumberUsed"
    JOB_NAME_TAKEN = "JobNameTaken"
    SECRET_NAME_TAKEN = "SecretNameTaken"  # noqa: S105  # a reason


class ServableReason(StrEnum):
    """Whether a runtime can serve a version."""

    COMPATIBLE = "Compatible"
    VERSION_MISMATCH = "VersionMismatch"
    MISSING_PACKAGE = "MissingPackage"
    UNKNOWN_FLAVOR = "UnknownFlavor"
    PACKAGES_UNKNOWN = "PackagesUnknown"


class ServingReason(StrEnum):
    """Whether a Deployment is Available, and whether it is Progressing."""

    AVAILABLE = "Available"
    UPDATING = "Updating"
    STARTING = "Starting"
    COMPLETE = "Complete"
    SCALED_TO_ZERO = "ScaledToZero"
    MODEL_MISSING = "ModelMissing"
    ALIAS_EMPTY = "AliasEmpty"
    VERSION_MISSING = "VersionMissing"
    VERSION_NOT_PUBLISHED = "VersionNotPublished"
    NOT_SERVABLE = "NotServable"
    RUNTIME_MISSING = "RuntimeMissing"
    NOT_READY = "NotReady"
    NAME_TAKEN = "NameTaken"
    SERVICE_NAME_TAKEN = "ServiceNameTaken"
    DEPLOYMENT_NAME_TAKEN = "DeploymentNameTaken"
    BUDGET_NAME_TAKEN = "PodDisruptionBudgetNameTaken"
    SECRET_NAME_TAKEN = "SecretNameTaken"  # noqa: S105  # a reason
    LOAD_FAILED = "LoadFailed"
    SERVER_CRASHED = "ServerCrashed"
    PODS_REFUSED = "PodsRefused"
    OUT_OF_MEMORY = "OutOfMemory"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    INVALID_IMAGE_NAME = "InvalidImageName"
    INJECTED_CONTAINER_FAILED = "InjectedContainerFailed"
    CONFIG_MISSING = "ConfigMissing"
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    RESOURCES_MISSING = "ResourcesMissing"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


def set_condition(
    conditions: Iterable[Object],
    kind: str,
    status: str,
    reason: str,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> list[Object]:
    """Return the conditions with one set, in their order; a new type comes last.

    The transition time moves only when the status does, so that setting what holds already
    changes nothing.
    """
    before = list(conditions)
    index = next((i for i, each in enumerate(before) if each["type"] == kind), len(before))
    old = before[index] if index < len(before) else {}
    unmoved = old.get("status") == status and "lastTransitionTime" in old
    condition = {
        "type": str(kind),
        "status": status,
        "reason": str(reason),
        "message": message,
        "lastTransitionTime": old["lastTransitionTime"] if unmoved else rfc3339(now),
        "observedGeneration": generation,
    }
    return [*before[:index], condition, *before[index + 1 :]]


def find_condition(resource: Object, kind: str) -> Object | None:
    """Return the condition of a type in a resource's status, or None."""
    conditions = (resource.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), None)


def is_true(resource: Object, kind: str) -> bool:
    """Tell whether a resource has the condition with status True."""
    condition = find_condition(resource, kind)
    return condition is not None and condition["status"] == "True"
