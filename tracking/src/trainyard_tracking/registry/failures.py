"""MLflow's errors with MLflow's texts, and what the API server's refusals become. Pure."""

from datetime import datetime

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    NOT_IMPLEMENTED,
    PERMISSION_DENIED,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from trainyard_tracking.kube import KubeDown, KubeError

_LONGEST_AGAIN = 30


class NotNow(MlflowException):  # type: ignore[misc]  # MLflow is untyped
    """INVALID_STATE with a status that clients don't retry: MLflow's own is 500."""

    def get_http_status_code(self) -> int:
        return 409


class NotYet(MlflowException):  # type: ignore[misc]  # MLflow is untyped
    """A 503 that says after how many seconds to ask again, which MLflow's client does by itself."""

    def __init__(self, message: str, again: int) -> None:
        super().__init__(message, TEMPORARILY_UNAVAILABLE)
        self.again = again


def no_model(name: str) -> MlflowException:
    """Say that a model does not exist."""
    return MlflowException(f"Registered Model with name={name} not found", RESOURCE_DOES_NOT_EXIST)


def model_exists(name: str) -> MlflowException:
    """Say that a name is taken."""
    return MlflowException(
        f"Registered Model (name={name}) already exists.", RESOURCE_ALREADY_EXISTS
    )


def no_version(name: str, version: object) -> MlflowException:
    """Say that a version does not exist."""
    return MlflowException(
        f"Model Version (name={name}, version={version}) not found", RESOURCE_DOES_NOT_EXIST
    )


def no_alias(alias: str) -> MlflowException:
    """Say that an alias does not exist; MLflow calls that a bad parameter."""
    return MlflowException(f"Registered model alias {alias} not found.", INVALID_PARAMETER_VALUE)


def not_here(what: str) -> MlflowException:
    """Say that this registry can't do something."""
    return MlflowException(f"{what} is not implemented by this registry", NOT_IMPLEMENTED)


def refused(message: str) -> MlflowException:
    """Say that a rule, a gate or the state forbids it."""
    return NotNow(message, INVALID_STATE)


def only_for_us() -> MlflowException:
    """Say that a token lets its owner read and log here, and write nothing into the cluster."""
    return MlflowException(
        "This token is for the tracking service alone, and the registry is written with your own"
        " rights in the cluster: send one that the Kubernetes API takes, without --audience",
        PERMISSION_DENIED,
    )


def still_going(name: str, since: datetime, now: datetime) -> NotYet:
    """Say that a deleted model is not gone yet.

    Asked again after as long as that lasts already: soon where there is little to delete, and
    for more than a minute in the seven tries that MLflow's client makes.
    """
    again = min(max(round((now - since).total_seconds()), 1), _LONGEST_AGAIN)
    return NotYet(f"The deleted model {name} is not gone yet: try again in {again} s", again)


def moved_meanwhile(alias: str, now: object) -> MlflowException:
    """Say that somebody else was faster."""
    return MlflowException(
        f"Alias {alias} was moved to version {now} in the same moment: look, and move it again",
        RESOURCE_CONFLICT,
    )


def from_kube(exc: KubeError | KubeDown) -> MlflowException:
    """Say in MLflow's way what the API server said."""
    if isinstance(exc, KubeDown):
        return MlflowException(
            f"The Kubernetes API does not answer, so nothing can be written: {exc}",
            TEMPORARILY_UNAVAILABLE,
        )
    codes = {
        401: PERMISSION_DENIED,
        403: PERMISSION_DENIED,
        404: RESOURCE_DOES_NOT_EXIST,
        409: RESOURCE_CONFLICT,
    }
    return MlflowException(exc.message, codes.get(exc.status, INVALID_PARAMETER_VALUE))
