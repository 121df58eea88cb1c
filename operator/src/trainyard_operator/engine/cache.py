"""What kopf's watches have shown, trimmed, indexed by owner; and the World made of it.

Objects are held as raw dicts without what no kind reads, because memory at thousands of Runs
is what matters here. An object is never replaced by an older one of the same UID, and one that
was seen deleted never comes back: `remember` may be called with our own writes at any time.
"""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object
from trainyard_operator.metrics import CACHED

_TOMBSTONES = 20_000


class Cache:
    """All watched objects, by resource, namespace and name.

    Args:
        whole: Resources whose objects are kept untrimmed, managedFields included.
    """

    def __init__(self, whole: Collection[str] = ()) -> None:
        self._whole = frozenset(whole)
        self._objects: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._owned: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        self._gone: OrderedDict[str, None] = OrderedDict()

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return an object, None if there is none. Never change it."""
        return self._objects[resource].get((namespace, name))

    def list(
        self,
        resource: str,
        namespace: str,
        *,
        owner: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Sequence[Object]:
        """Return objects of a namespace, sorted by name; see World.list."""
        held = self._objects[resource]
        keys: Iterable[tuple[str, str]] = self._owned[resource, owner] if owner else held
        found = (held[key] for key in sorted(key for key in keys if key[0] == namespace))
        return [each for each in found if _has(each, labels or {})]

    def all(self, resource: str) -> Iterable[Object]:
        """Return every object of a resource."""
        return tuple(self._objects[resource].values())

    def remember(self, resource: str, seen: Object) -> Object | None:
        """Take in an object; return it trimmed if it is news, None if something newer is held."""
        meta = seen["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        held = self._objects[resource].get(key)
        if meta["uid"] in self._gone or (held and not _newer(seen, than=held)):
            return None
        trimmed = trim(resource, seen, whole=resource in self._whole)
        if held is not None:
            self._forget(resource, key, held)
        self._objects[resource][key] = trimmed
        owner = objects.controller_uid(trimmed)
        if owner:
            self._owned[resource, owner].add(key)
        CACHED.labels(resource).set(len(self._objects[resource]))
        return trimmed

    def drop(self, resource: str, seen: Object) -> None:
        """Forget a deleted object for good; a namesake with another UID stays."""
        meta = seen["metadata"]
        self._gone[meta["uid"]] = None
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
        key = (meta.get("namespace", ""), meta["name"])
        held = self._objects[resource].get(key)
        if held is not None and held["metadata"]["uid"] == meta["uid"]:
            self._forget(resource, key, held)
        CACHED.labels(resource).set(len(self._objects[resource]))

    def _forget(self, resource: str, key: tuple[str, str], held: Object) -> None:
        del self._objects[resource][key]
        owner = objects.controller_uid(held)
        if owner:
            owned = self._owned[resource, owner]
            owned.discard(key)
            if not owned:
                del self._owned[resource, owner]


def _has(each: Object, labels: Mapping[str, str]) -> bool:
    held = each["metadata"].get("labels") or {}
    return all(held.get(key) == value for key, value in labels.items())


def _newer(seen: Object, *, than: Object) -> bool:
    old, new = than["metadata"], seen["metadata"]
    # The server compares resource versions as numbers since 1.35, and etcd's always were.
    return int(new["resourceVersion"]) > int(old["resourceVersion"])


_META = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "ownerReferences",
    "finalizers",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONTAINER = ("name", "image", "resources")
_INIT = ("name", "image", "restartPolicy")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER_STATE = ("name", "state", "lastState", "imageID", "image", "restartCount")


def trim(resource: str, seen: Object, *, whole: bool = False) -> Object:
    """Return an object with only what kinds read of its resource, and keys interned."""
    cut = _TRIMS.get(resource, _trim_own)
    trimmed: Object = _interned(seen if whole else cut(seen))
    return trimmed


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
        kept["conditions"] = [_pick(c, *_CONDITION) for c in status["conditions"]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(seen),
        "spec": {
            **_pick(spec, "nodeName", "nodeSelector"),
            "containers": [_pick(c, *_CONTAINER) for c in spec.get("containers") or ()],
            "initContainers": [_pick(c, *_INIT) for c in spec.get("initContainers") or ()],
        },
        "status": kept,
    }


def _pick(source: Object, *keys: str) -> Object:
    return {k: source[k] for k in keys if k in source}


def _interned(value: Any) -> Any:
    if isinstance(value, dict):
        return {sys.intern(k): _interned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_interned(v) for v in value]
    # Short strings repeat from object to object: label values, reasons, images, quantities.
    return sys.intern(value) if isinstance(value, str) and len(value) < 40 else value


def _trim_budget(seen: Object) -> Object:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(seen)}


_TRIMS: Mapping[str, Callable[[Object], Object]] = {
    objects.BUDGETS: _trim_budget,
    "jobs": _trim_job,
    "pods": _trim_pod,
}
