"""MLflow's errors with MLflow's texts, and what the API server's refusals become."""

from datetime import datetime
from typing import Any

from flask import after_this_request, has_request_context
from mlflow.entities.model_registry.model_version_stages import (
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS,
)
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

from trainyard_tracking.errors import Refused
from trainyard_tracking.kube import KubeDown, KubeError, Object
from trainyard_tracking.registry.resources import model_title
from trainyard_tracking.registry.stages import find_stage

_LONGEST_AGAIN = 30
_TOO_MANY = 429


class NotNow(MlflowException):  # type: ignore[misc]  # MLflow is untyped
    """INVALID_STATE with a status that clients don't retry: MLflow's own is 500."""

    def get_http_status_code(self) -> int:
        return 409


class NotYet(MlflowException):  # type: ignore[misc]  # MLflow is untyped
    """A 429 that says after how many seconds to ask again, which MLflow's client does by itself.

    Nothing was done. A 503 may come of something that was, so that clients from 3.18 on do not
    make a model again after one.
    """

    def __init__(self, message: str, again: int) -> None:
        super().__init__(message, TEMPORARILY_UNAVAILABLE)
        self.again = again
        if has_request_context():
            after_this_request(self._tell)

    def _tell(self, answer: Any) -> Any:
        answer.headers["Retry-After"] = str(self.again)
        return answer

    def get_http_status_code(self) -> int:
        return _TOO_MANY


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


def no_latest(name: str) -> MlflowException:
    """Say that a model has no version yet."""
    return MlflowException(f"Latest version not found for model {name}.", RESOURCE_DOES_NOT_EXIST)


def no_alias(alias: str) -> MlflowException:
    """Say that an alias does not exist; MLflow calls that a bad parameter."""
    return MlflowException(f"Registered model alias {alias} not found.", INVALID_PARAMETER_VALUE)


def no_stage(name: str, stage: str, known: list[str]) -> MlflowException:
    """Say that a stage does not exist, and which do."""
    return MlflowException(
        f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(known)}: add it to"
        f" spec.stages of the Model of {name}, or use an alias",
        INVALID_PARAMETER_VALUE,
    )


def not_active(stage: str) -> MlflowException:
    """Say that only what a stage serves can be archived by a move."""
    return MlflowException(
        "Model version transition cannot archive existing model versions because"
        f" '{stage}' is not an Active stage. Valid stages are"
        f" {DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS}",
        INVALID_PARAMETER_VALUE,
    )


def not_here(what: str) -> MlflowException:
    """Say that this registry can't do something."""
    return MlflowException(f"{what} is not implemented by this registry", NOT_IMPLEMENTED)


def refused(message: str) -> MlflowException:
    """Say that a rule, a gate or the state forbids it."""
    return NotNow(message, INVALID_STATE)


def held_by(stage: str, name: str, version: int) -> MlflowException:
    """Say that an automatic stage keeps a version where it is."""
    return refused(
        f"Version {version} of {name} stays in stage {stage}, which is automatic: it moves on by"
        " itself once a newer version passes its gates"
    )


def not_held(model: Object, alias: str) -> MlflowException:
    """Say that an alias points at nothing, or why what is wanted is not held."""
    wanted = (model["spec"].get("aliases") or {}).get(alias)
    if find_stage(model, alias) is None or wanted is None:
        return no_alias(alias)
    return refused(
        f"Stage {alias} of {model_title(model)} holds no version yet: {wanted} is wanted;"
        f" see status.stages of Model {model['metadata']['name']}"
    )


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


def not_yet(message: str, again: int = 1) -> NotYet:
    """Say that others were faster so often that it should be tried again, after `again` seconds."""
    return NotYet(f"{message}: try again in {again} s", again)


def moved_meanwhile(alias: str, now: object) -> MlflowException:
    """Say that somebody else was faster."""
    return MlflowException(
        f"Alias {alias} was moved to version {now} in the same moment: look, and move it again",
        RESOURCE_CONFLICT,
    )


def from_refusal(exc: Refused) -> MlflowException:
    """Say in MLflow's way what another part of this service refused."""
    return refused(str(exc))


def from_kube(exc: KubeError | KubeDown) -> MlflowException:
    """Say in MLflow's way what the API server said."""
    if isinstance(exc, KubeDown):
        return MlflowException(
            f"The Kubernetes API does not answer, so nothing can be written: {exc}",
            TEMPORARILY_UNAVAILABLE,
        )
    if exc.status == _TOO_MANY:
        return not_yet(f"The Kubernetes API has too much to do: {exc.message}", exc.again or 1)
    codes = {
        401: PERMISSION_DENIED,
        403: PERMISSION_DENIED,
        404: RESOURCE_DOES_NOT_EXIST,
        409: RESOURCE_CONFLICT,
    }
    return MlflowException(exc.message, codes.get(exc.status, INVALID_PARAMETER_VALUE))
