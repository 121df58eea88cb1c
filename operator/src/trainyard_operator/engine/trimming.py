"""What is kept of an object: only what kinds read of its resource, because memory is what
thousands of Runs cost, and because what changes nothing that is kept wakes nobody. Pure.
"""

from collections.abc import Callable, Mapping

from trainyard_operator.engine import mounted, objects
from trainyard_operator.engine.plan import Object

_META = (
    "name",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "ownerReferences",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONTAINER = ("name", "image", "resources")
_INIT = ("name", "image", "restartPolicy")
_POD_CONDITIONS = ("PodScheduled", "DisruptionTarget", "Ready")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER_STATE = ("name", "state", "lastState", "imageID", "image", "restartCount")


def trim(resource: str, seen: Object, *, whole: bool = False) -> Object:
    """Return an object with only what kinds read of its resource."""
    return seen if whole else _TRIMS.get(resource, _trim_own)(seen)


def _trim_own(seen: Object) -> Object:
    meta = {k: v for k, v in seen["metadata"].items() if k != "managedFields"}
    notes = {k: v for k, v in meta.pop("annotations", {}).items() if k != _LAST_APPLIED}
    return {**seen, "metadata": {**meta, "annotations": notes} if notes else meta}


def _meta(seen: Object) -> Object:
    return {k: seen["metadata"][k] for k in _META if k in seen["metadata"]}


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
            **_pick(spec, "completions", "activeDeadlineSeconds"),
            **mounted.kept(seen),
        },
        "status": {k: status[k] for k in ("conditions", "startTime", "active") if k in status},
    }


def _suspender(job: Object) -> str:
    for each in job["metadata"].get("managedFields") or ():
        if "f:suspend" in ((each.get("fieldsV1") or {}).get("f:spec") or {}):
            return str(each.get("manager", ""))
    return ""


def _trim_pod(seen: Object) -> Object:
    spec, status = seen.get("spec") or {}, seen.get("status") or {}
    kept = {k: status[k] for k in ("phase", "reason", "message", "startTime") if k in status}
    for field in ("containerStatuses", "initContainerStatuses"):
        if field in status:
            kept[field] = [{k: c[k] for k in _CONTAINER_STATE if k in c} for c in status[field]]
    if "conditions" in status:
        told = (c for c in status["conditions"] if c["type"] in _POD_CONDITIONS)
        kept["conditions"] = [_pick(c, *_CONDITION) for c in told]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(seen),
        "spec": {
            **_pick(spec, "nodeName", "nodeSelector"),
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
