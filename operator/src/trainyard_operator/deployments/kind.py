"""The Deployment kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable

from trainyard_operator import names
from trainyard_operator.deployments.performers import PERFORMERS
from trainyard_operator.deployments.plan import observe, plan
from trainyard_operator.deployments.status import PROGRESSING
from trainyard_operator.engine.kind import Kind, by_label, labelled, owner_of
from trainyard_operator.engine.objects import BUDGETS, DEPLOYMENTS, PODS, SERVICES
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.world import World
from trainyard_operator.names import MODEL_DEPLOYMENTS, MODEL_VERSIONS, MODELS


def _of_model(model: Object, world: World) -> Iterable[str]:
    return _following(model["metadata"]["namespace"], model["metadata"]["name"], world)


def _of_version(version: Object, world: World) -> Iterable[str]:
    return _following(version["metadata"]["namespace"], version["spec"]["model"], world)


def _following(namespace: str, model: str, world: World) -> Iterable[str]:
    found = world.list(MODEL_DEPLOYMENTS, namespace, by=("model", model))
    return [d["metadata"]["name"] for d in found]


def _model_of(deployment: Object) -> Iterable[str]:
    return (deployment["spec"]["model"]["name"],)


KIND = Kind(
    resource=MODEL_DEPLOYMENTS,
    condition=PROGRESSING,
    observe=observe,
    plan=plan,
    performers=PERFORMERS,
    wakes={
        MODELS: _of_model,
        MODEL_VERSIONS: _of_version,
        DEPLOYMENTS: owner_of("Deployment"),
        SERVICES: owner_of("Deployment"),
        BUDGETS: owner_of("Deployment"),
        PODS: labelled(names.DEPLOYMENT),
    },
    indexes={
        MODEL_DEPLOYMENTS: {"model": _model_of},
        PODS: {names.DEPLOYMENT: by_label(names.DEPLOYMENT)},
    },
)
