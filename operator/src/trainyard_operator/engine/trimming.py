"""What is kept of an object: only what kinds read of its resource, because memory is what
thousands of Runs cost, and because what changes nothing that is kept wakes nobody. Pure.
"""

from collections.abc import Callable, Mapping

from trainyard_operator.engine import mounted, objects, shapes
from trainyard_operator.engine.plan import Object

_META = tuple(shapes.Meta.__annotations__)
_PLACED, _PHASE = tuple(shapes.Placed.__annotations__), tuple(shapes.Phase.__annotations__)
_BOUNDS, _JOB_STATUS = (tuple(each.__annotations__) for each in (shapes.Bounds, shapes.JobStatus))
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONTAINER = ("name", "image", "resources")
_INIT = ("name", "image", "restartPolicy")
_POD_CONDITIONS = ("PodScheduled", "DisruptionTarget", "Ready")
_CONDITION = tuple(shapes.Condition.__annotations__)
_CONTAINER_STATE = tuple(shapes.ContainerStatus.__annotations__)


def trim(resource: str, seen: Object, *, whole: bool = False) -> Object:
    """Return an object with only what kinds read of its resource."""
    return seen if whole else _TRIMS.get(resource, _trim_own)(seen)


def _trim_own(seen: Object) -> Object:
    meta = {k: v for k, v in seen["metadata"].items() if k != "managedFields"}
    notes = {k: v for k, v in meta.pop("annotations", {}).items() if k != _LAST_APPLIED}
    return {**seen, "metadata": {**meta, "annotations": notes} if notes else meta}


def _meta(seen: Object) -> Object:
    return _pick(seen["metadata"], *_META)


def _trim_job(seen: Object) -> Object:
    spec, status = seen.get("spec") or {}, seen.get("status") or {}
    suspended = bool(spec.get("suspend"))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(seen),
        "spec": {
            "suspend": suspended,
            "suspendedBy": _suspender(seen) if suspended else "",
            **_pick(spec, *_BOUNDS),
            **mounted.kept(seen),
        },
        "status": _pick(status, *_JOB_STATUS),
    }


def _suspender(job: Object) -> str:
    for each in job["metadata"].get("managedFields") or ():
        if "f:suspend" in ((each.get("fieldsV1") or {}).get("f:spec") or {}):
            return str(each.get("manager", ""))
    return ""


def _trim_pod(seen: Object) -> Object:
    spec, status = seen.get("spec") or {}, seen.get("status") or {}
    kept = _pick(status, *_PHASE)
    for field in ("containerStatuses", "initContainerStatuses"):
        if field in status:
            kept[field] = [_pick(c, *_CONTAINER_STATE) for c in status[field]]
    if "conditions" in status:
        told = (c for c in status["conditions"] if c["type"] in _POD_CONDITIONS)
        kept["conditions"] = [_pick(c, *_CONDITION) for c in told]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(seen),
        "spec": {
            **_pick(spec, *_PLACED),
            **mounted.kept(seen),
            "containers": [_pick(c, *_CONTAINER) for c in spec.get("containers") or ()],
            "initContainers": [_pick(c, *_INIT) for c in spec.get("initContainers") or ()],
        },
        "status": kept,
    }


def _pick(source: Object, *keys: str) -> Object:
    return {k: source[k] for k in keys if k in source}


def _trim_budget(seen: Object) -> Object:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(seen)}


_TRIMS: Mapping[str, Callable[[Object], Object]] = {
    objects.BUDGETS: _trim_budget,
    "jobs": _trim_job,
    "pods": _trim_pod,
}
