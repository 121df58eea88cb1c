"""The ModelVersion kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable

from trainyard_operator import names
from trainyard_operator.engine.kind import Kind, labelled, owner_of
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.world import World
from trainyard_operator.finalizers.performers import PERFORMERS
from trainyard_operator.names import MODEL_VERSIONS, MODELS, RUNS
from trainyard_operator.versions.plan import PUBLISHED, is_settled, observe, plan


def _of_run(run: Object, world: World) -> Iterable[str]:
    found = world.list(MODEL_VERSIONS, run["metadata"]["namespace"])
    name = run["metadata"]["name"]
    return [
        v["metadata"]["name"]
        for v in found
        if v["spec"]["source"].get("run", {}).get("name") == name and _is_open(v)
    ]


def _of_model(model: Object, world: World) -> Iterable[str]:
    found = world.list(MODEL_VERSIONS, model["metadata"]["namespace"])
    name = model["metadata"]["name"]
    return [v["metadata"]["name"] for v in found if v["spec"]["model"] == name and _is_open(v)]


def _is_open(version: Object) -> bool:
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
    is_settled=is_settled,
)
