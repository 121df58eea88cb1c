"""What a resource can hold: etcd takes 1.5 MiB, where MLflow's database has no limit. Pure."""

import json
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from trainyard_tracking.kube import Object

LARGEST = 1_000_000
"""Bytes of a resource as JSON: the operator's status and etcd's own overhead come on top."""


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
