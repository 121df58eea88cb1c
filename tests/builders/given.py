"""Builders of the API's objects, as the API server returns them: what a test does not name is
ordinary.

Every builder takes the spec's fields by their names on the wire. `metadata` and `status` are
merged into the ordinary ones. Nothing here knows what a part does with an object.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from trainyard_api import contract

Object = dict[str, Any]

NAMESPACE = "team"
CREATED = "2026-11-24T12:00:00Z"
NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
DIGEST = "sha256:" + "a1" * 32
IMAGE = "registry.example/code:1"


def uid(kind: str, name: str, namespace: str = NAMESPACE) -> str:
    """Return the UID that a builder gives: the same for the same object, every time."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{namespace}/{name}"))


def run_id(name: str, namespace: str = NAMESPACE) -> str:
    """Return the MLflow run id of a Run that a builder made: its UID without dashes."""
    return uid("Run", name, namespace).replace("-", "")


def thing(
    api_version: str,
    kind: str,
    name: str,
    *,
    metadata: Object | None = None,
    spec: Object | None = None,
    status: Object | None = None,
) -> Object:
    """Return any object with a name, a UID and a time of creation."""
    namespace = (metadata or {}).get("namespace", NAMESPACE)
    body: Object = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid(kind, name, namespace),
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": CREATED,
            **(metadata or {}),
        },
    }
    if spec is not None:
        body["spec"] = spec
    if status is not None:
        body["status"] = status
    return body


def owner(of: Object) -> Object:
    """Return the owner reference to an object that controls another."""
    return {
        "apiVersion": of["apiVersion"],
        "kind": of["kind"],
        "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(
    kind: str, status: str = "True", reason: str = "Completed", message: str = "", **more: Any
) -> Object:
    """Return a condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": CREATED,
        "observedGeneration": 1,
    } | more


def experiment(
    name: str = "digits",
    *,
    metadata: Object | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """Return an Experiment."""
    return thing(
        contract.API_VERSION, "Experiment", name, metadata=metadata, spec=spec, status=status
    )


def run(
    name: str = "r", *, metadata: Object | None = None, status: Object | None = None, **spec: Any
) -> Object:
    """Return a Run of `python train.py` in an image, or in a runtime if one is given."""
    ordinary: Object = {
        "experiment": "digits",
        "command": ["python", "train.py"],
        "retry": {"userError": 0, "infrastructure": 3},
        "suspend": False,
        "cancel": False,
    }
    if "runtime" not in spec:
        ordinary["image"] = IMAGE
    return thing(
        contract.API_VERSION, "Run", name, metadata=metadata, spec=ordinary | spec, status=status
    )


def model(
    name: str = "digits",
    *,
    metadata: Object | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a Model that the operator holds until its versions are gone."""
    return thing(
        contract.API_VERSION,
        "Model",
        name,
        metadata={"finalizers": [contract.VERSIONS_FINALIZER], **(metadata or {})},
        spec=spec,
        status=status,
    )


def stage(name: str, promotion: str = "approval", *requires: Object) -> Object:
    """Return a stage of a Model."""
    return {"name": name, "promotion": promotion, "requires": list(requires)}


def model_version(
    model: str = "digits",
    version: int = 1,
    *,
    metadata: Object | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a ModelVersion that a Run named r made; it has the retiring finalizer."""
    ordinary: Object = {"model": model, "version": version}
    if "source" not in spec:
        ordinary["source"] = {"run": {"name": "r", "artifactPath": "model"}}
    return thing(
        contract.API_VERSION,
        "ModelVersion",
        f"{model}-{version}",
        metadata={"finalizers": [contract.RETIRE_FINALIZER], **(metadata or {})},
        spec=ordinary | spec,
        status=status,
    )


def published(version: int = 1, *, digest: str = DIGEST, **status: Any) -> Object:
    """Return the status of a published version."""
    return {
        "phase": "Ready",
        "digest": digest,
        "size": 1000,
        "flavors": {"python_function": "3.13.0", "sklearn": "1.7.2"},
        "requirements": ["scikit-learn==1.7.2"],
        "metrics": {"val_accuracy": f"0.9{version}"},
        "conditions": [condition("Published", reason="Published")],
    } | status


def model_deployment(
    name: str = "digits",
    *,
    metadata: Object | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a Deployment of production."""
    ordinary: Object = {
        "model": {"name": "digits", "alias": "production"},
        "replicas": 1,
        "runtime": "sklearn",
        "rollout": {"rolling": {}},
    }
    return thing(
        contract.API_VERSION,
        "Deployment",
        name,
        metadata=metadata,
        spec=ordinary | spec,
        status=status,
    )


def job(
    name: str, *, of: Object | None = None, metadata: Object | None = None, **status: Any
) -> Object:
    """Return a Job, controlled by an object if one is given."""
    owned = {"ownerReferences": [owner(of)]} if of else {}
    return thing(
        "batch/v1",
        "Job",
        name,
        metadata={
            "labels": {contract.MANAGED_BY_LABEL: contract.MANAGED_BY},
            **owned,
            **(metadata or {}),
        },
        spec={"completions": 1, "parallelism": 1, "backoffLimit": 0},
        status=status,
    )


def pod(
    name: str, *, of: Object | None = None, metadata: Object | None = None, **status: Any
) -> Object:
    """Return a pod with a container `main`, controlled by a Job if one is given."""
    owned = {"ownerReferences": [owner(of)]} if of else {}
    return thing(
        "v1",
        "Pod",
        name,
        metadata={
            "labels": {contract.MANAGED_BY_LABEL: contract.MANAGED_BY},
            **owned,
            **(metadata or {}),
        },
        spec={"containers": [{"name": contract.MAIN_CONTAINER, "image": IMAGE}]},
        status={"phase": "Pending"} | status,
    )


def container_status(
    name: str = contract.MAIN_CONTAINER, *, restarts: int = 0, ready: bool = False, **state: Any
) -> Object:
    """Return a container's status in one state, such as `waiting={"reason": "ErrImagePull"}`."""
    return {"name": name, "restartCount": restarts, "ready": ready, "image": IMAGE, "state": state}
