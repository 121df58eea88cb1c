"""The ModelVersion kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable

from trainyard_operator import names
from trainyard_operator.engine.kind import Kind, by_label, labelled, owner_of
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.world import World
from trainyard_operator.finalizers.performers import PERFORMERS
from trainyard_operator.names import MODEL_VERSIONS, MODELS, RUNS
from trainyard_operator.versions.plan import PUBLISHED, is_settled, observe, plan

_OPEN = "open, of run"
_OPEN_OF_MODEL = "open, of model"


def _of_run(run: Object, world: World) -> Iterable[str]:
    return _found(run, (_OPEN, run["metadata"]["name"]), world)


def _of_model(model: Object, world: World) -> Iterable[str]:
    return _found(model, (_OPEN_OF_MODEL, model["metadata"]["name"]), world)


def _found(seen: Object, by: tuple[str, str], world: World) -> Iterable[str]:
    found = world.list(MODEL_VERSIONS, seen["metadata"]["namespace"], by=by)
    return [version["metadata"]["name"] for version in found]


def _open_of_run(version: Object) -> Iterable[str]:
    source = version["spec"]["source"].get("run")
    return (source["name"],) if source and _is_open(version) else ()


def _open_of_model(version: Object) -> Iterable[str]:
    return (version["spec"]["model"],) if _is_open(version) else ()


def _is_open(version: Object) -> bool:
    """Tell whether a Run or Model may still change it: most versions are done for good."""
    meta, phase = version["metadata"], (version.get("status") or {}).get("phase")
    # One with an owner waits for its Model to be held (plan._hold).
    waits = "deletionTimestamp" in meta or meta.get("ownerReferences")
    return bool(waits) or phase not in {"Ready", "Rejected"}


KIND = Kind(
    resource=MODEL_VERSIONS,
    condition=PUBLISHED,
    observe=observe,
    plan=plan,
    performers=PERFORMERS,
    wakes={
        JOBS: owner_of("ModelVersion"),
        PODS: labelled(names.MODEL_VERSION),
        RUNS: _of_run,
        MODELS: _of_model,
    },
    indexes={
        MODEL_VERSIONS: {
            _OPEN: _open_of_run,
            _OPEN_OF_MODEL: _open_of_model,
            names.RUN_UID: by_label(names.RUN_UID),
        },
        PODS: {names.MODEL_VERSION: by_label(names.MODEL_VERSION)},
    },
    is_settled=is_settled,
)
