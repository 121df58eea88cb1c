"""Trainyard from Python: the resources, typed, and the verbs on them.

    import trainyard as ty

    client = ty.Client()
    run = client.wait(ty.run("examples/01-first-model", parameters={"max_depth": 12}))
    print(run.status.metrics)

Names are imported when first used, because most of them bring the Kubernetes
client along, and `trainyard --help` should not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainyard_api.deployment import Deployment, DeploymentSpec
    from trainyard_api.experiment import Experiment, ExperimentSpec
    from trainyard_api.meta import ObjectMeta
    from trainyard_api.model import Model, ModelSpec
    from trainyard_api.model_version import ModelVersion, ModelVersionSpec
    from trainyard_api.run import Run, RunSpec

    from trainyard.client import Client
    from trainyard.comparing import Comparison, compare
    from trainyard.errors import (
        ApiError,
        Conflict,
        Forbidden,
        InvalidInput,
        NotFound,
        Refused,
        Rejected,
        TimedOut,
        TrainyardError,
        Unreachable,
    )
    from trainyard.promotion import move_alias as promote
    from trainyard.registering import register
    from trainyard.submission import run

__all__ = [
    "ApiError",
    "Client",
    "Comparison",
    "Conflict",
    "Deployment",
    "DeploymentSpec",
    "Experiment",
    "ExperimentSpec",
    "Forbidden",
    "InvalidInput",
    "Model",
    "ModelSpec",
    "ModelVersion",
    "ModelVersionSpec",
    "NotFound",
    "ObjectMeta",
    "Refused",
    "Rejected",
    "Run",
    "RunSpec",
    "TimedOut",
    "TrainyardError",
    "Unreachable",
    "compare",
    "promote",
    "register",
    "run",
]

_ERRORS = {
    name: "trainyard.errors"
    for name in __all__
    if name
    in {
        "ApiError",
        "Conflict",
        "Forbidden",
        "InvalidInput",
        "NotFound",
        "Refused",
        "Rejected",
        "TimedOut",
        "TrainyardError",
        "Unreachable",
    }
}
_HOME = {
    **_ERRORS,
    "Client": "trainyard.client",
    "Comparison": "trainyard.comparing",
    "compare": "trainyard.comparing",
    "run": "trainyard.submission",
    "promote": "trainyard.promotion:move_alias",
    "register": "trainyard.registering",
    "ObjectMeta": "trainyard_api.meta",
    "Deployment": "trainyard_api.deployment",
    "DeploymentSpec": "trainyard_api.deployment",
    "Experiment": "trainyard_api.experiment",
    "ExperimentSpec": "trainyard_api.experiment",
    "Model": "trainyard_api.model",
    "ModelSpec": "trainyard_api.model",
    "ModelVersion": "trainyard_api.model_version",
    "ModelVersionSpec": "trainyard_api.model_version",
    "Run": "trainyard_api.run",
    "RunSpec": "trainyard_api.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = _HOME[name].partition(":")
    value = getattr(import_module(module), original or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
