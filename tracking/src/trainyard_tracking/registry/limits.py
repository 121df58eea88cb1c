"""What a resource can hold: etcd takes 1.5 MiB, where MLflow's database has no limit."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED

from trainyard_tracking.kube import Object

_NOTED = frozenset({"tags", "description"})
LARGEST = 1_000_000
"""Bytes of a resource as JSON: the operator's status and etcd's own overhead come on top."""
OF_RUN_LARGEST = 32 << 10
"""Bytes of tags and description of a resource that the code of a Run made or changed."""
OF_RUN_MOST = 100
"""Models and versions that the code of one Run makes."""
_MOST_RUNS = 10_000


@dataclass(slots=True)
class Made:
    """How many resources each Run has made, as far as this process knows; thread-safe.

    No quota of the cluster tells one Run from another: we write for all of them.
    """

    _of: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, run_id: str) -> None:
        """Count one that a Run is about to make.

        Raises:
            MlflowException: it has made as many as it may.
        """
        with self._lock:
            made = self._of.pop(run_id, 0)
            self._of[run_id] = min(made + 1, OF_RUN_MOST)
            if len(self._of) > _MOST_RUNS:
                self._of.popitem(last=False)
        if made >= OF_RUN_MOST:
            raise MlflowException(
                f"The code of this Run has made {OF_RUN_MOST} models and versions, the most that"
                " one Run may: make more with kubectl or an own token",
                PERMISSION_DENIED,
            )

    def give_back(self, run_id: str) -> None:
        """Count one less: it was not made."""
        with self._lock:
            if run_id in self._of:
                self._of[run_id] -= 1


def require_small(resource: Object, change: Object) -> None:
    """Refuse tags and a description that are larger than the code of a Run may write.

    Raises:
        MlflowException: they would be.
    """
    spec = resource.get("spec") or {}
    noted = {key: spec[key] for key in _NOTED if key in spec}
    new = _merged(noted, {k: v for k, v in (change.get("spec") or {}).items() if k in _NOTED})
    size = len(json.dumps(new))
    if size > OF_RUN_LARGEST and (not change or size > len(json.dumps(noted))):
        raise MlflowException(
            f"tags and description would have {size} bytes; {OF_RUN_LARGEST} are the most that the"
            " code of a Run may write: log what is larger as an artifact",
            INVALID_PARAMETER_VALUE,
        )


def require_fits(resource: Object, change: Object) -> None:
    """Refuse a change that the cluster could not keep.

    Raises:
        MlflowException: the resource would be too large.
    """
    there = {key: resource.get(key) for key in ("spec", "metadata")}
    size = len(json.dumps(_merged(there, change)))
    grows = not change or size > len(json.dumps(there))
    if size > LARGEST and grows:
        kind = resource.get("kind", "resource")
        raise MlflowException(
            f"{kind} {resource['metadata']['name']} would have {size} bytes of tags, description"
            f" and aliases; at most {LARGEST} can be kept: delete tags, or shorten them",
            INVALID_PARAMETER_VALUE,
        )


def _merged(there: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return change
    merged = dict(there) if isinstance(there, dict) else {}
    for key, one in change.items():
        if one is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), one)
    return merged
