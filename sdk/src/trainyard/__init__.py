"""Trainyard from Python: the resources, typed, and the verbs on them.

    import trainyard as ty

    run = ty.follow(ty.run("examples/01-first-model", parameters={"max_depth": 12}))
    print(run.status.metrics)
    ty.compare("digits-shallow", run)

Every verb takes `client=`; without it all use one client of the kubeconfig's current context,
or the one that `ty.use(context=…, namespace=…)` chose.

Names are imported when first used, because most of them bring the Kubernetes
client along, and `trainyard --help` should not wait for it.
"""

import builtins
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
    from trainyard.comparing import Comparison
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
    from trainyard.looking import describe, get, status
    from trainyard.looking import list_all as list  # noqa: A004  # ty.list reads as it should
    from trainyard.promotion import demote, promote, rollback
    from trainyard.registering import register
    from trainyard.results import compare
    from trainyard.running import cancel, follow, logs, rerun
    from trainyard.serving import predict, serve
    from trainyard.session import use, verdict, wait
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
    "cancel",
    "compare",
    "demote",
    "describe",
    "follow",
    "get",
    "list",
    "logs",
    "predict",
    "promote",
    "register",
    "rerun",
    "rollback",
    "run",
    "serve",
    "status",
    "use",
    "verdict",
    "wait",
]

_VERBS = {
    "submission": ("run",),
    "session": ("use", "verdict", "wait"),
    "running": ("cancel", "follow", "logs", "rerun"),
    "looking": ("describe", "get", "status"),
    "results": ("compare",),
    "registering": ("register",),
    "promotion": ("demote", "promote", "rollback"),
    "serving": ("predict", "serve"),
    "client": ("Client",),
    "comparing": ("Comparison",),
    "errors": (
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
    ),
}
_HOME = {
    **{name: f"trainyard.{module}" for module, names in _VERBS.items() for name in names},
    "list": "trainyard.looking:list_all",
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


def __dir__() -> builtins.list[str]:
    return sorted(_HOME)
