"""Every derived name, label set and owner reference. Pure.

If a name of a child is spelled anywhere else, that is a bug. Resource names are at most 50
characters (the CRDs say so), so every name made here fits a label and a DNS name.
"""

import hashlib
from collections.abc import Mapping

from trainyard_api import contract

from trainyard_operator.plan import Object

FIELD_MANAGER = contract.OPERATOR_MANAGER
PROMOTER = contract.PROMOTER_MANAGER
API_VERSION = contract.API_VERSION

MANAGED_BY = {contract.MANAGED_BY_LABEL: contract.MANAGED_BY}
COMPONENT = contract.COMPONENT_LABEL
RUN = contract.RUN_LABEL
RUN_UID = f"{contract.GROUP}/run-uid"
ATTEMPT = contract.ATTEMPT_LABEL
MODEL = contract.MODEL_LABEL
MODEL_VERSION = contract.MODEL_VERSION_LABEL
DEPLOYMENT = contract.DEPLOYMENT_LABEL
DIGEST = f"{contract.GROUP}/digest"

RETIRE_FINALIZER = contract.RETIRE_FINALIZER


# (apiVersion, kind) → the plural that URLs have, and by which World names resources.
PLURALS = {
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "Pod"): "pods",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Node"): "nodes",
    ("v1", "Namespace"): "namespaces",
    ("v1", "Event"): "events",
    ("batch/v1", "Job"): "jobs",
    ("apps/v1", "Deployment"): "deployments",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("events.k8s.io/v1", "Event"): "events",
    (API_VERSION, "Experiment"): "experiments",
    (API_VERSION, "Run"): "runs",
    (API_VERSION, "Model"): "models",
    (API_VERSION, "ModelVersion"): "modelversions",
    (API_VERSION, "Deployment"): "modeldeployments",
}

_LABEL_LIMIT = 63
OWN_RESOURCES = tuple(contract.PLURALS.values())


def run_id(resource: Object) -> str:
    """Return the MLflow run id of a Run: what its status says, or else its UID."""
    held = (resource.get("status") or {}).get("runID")
    return str(held or resource["metadata"]["uid"].replace("-", ""))


def run_job(run: str, attempt: int) -> str:
    """Return the name of an attempt's Job."""
    return f"{run}-a{attempt}"


def token_secret(owner: str) -> str:
    """Return the name of the Secret with a Run's or a ModelVersion's token."""
    return f"{owner}-token"


def publish_job(version: str, attempt: int = 1) -> str:
    """Return the name of an attempt's Job to publish a ModelVersion."""
    return fit(f"{version}-publish" if attempt == 1 else f"{version}-publish-{attempt}")


def fit(name: str) -> str:
    """Return a name that a label can hold: one too long ends in a hash of all of it."""
    if len(name) <= _LABEL_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LABEL_LIMIT - 9].rstrip('-')}-{digest}"


def serving_child(deployment: str, digest: str) -> str:
    """Return the name of the apps/v1 Deployment that serves a digest."""
    return f"{deployment}-{short_digest(digest)}"


def serving_secret(deployment: str, digest: str) -> str:
    """Return the name of the Secret with a serving child's token."""
    return f"{serving_child(deployment, digest)}-token"


def short_digest(digest: str) -> str:
    """Return the first eight hex digits of `sha256:…`."""
    return digest.removeprefix("sha256:")[:8]


def model_version(model: str, number: int) -> str:
    """Return the name of a model's version."""
    return f"{model}-{number}"


def run_labels(run: Object, attempt: int | None = None) -> dict[str, str]:
    """Return the labels of an attempt's Job and pod, or of what all attempts share."""
    meta = run["metadata"]
    labels = {
        **MANAGED_BY,
        COMPONENT: contract.COMPONENT_RUN,
        RUN: meta["name"],
        RUN_UID: meta["uid"],
    }
    return labels if attempt is None else {**labels, ATTEMPT: str(attempt)}


def component_labels(component: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a child of another component (publishing, serving)."""
    return {**MANAGED_BY, COMPONENT: component, **labels}


def owner_reference(resource: Object, kind: str = "") -> dict[str, object]:
    """Return the controller reference that a child carries.

    Raises:
        KeyError: The resource has no UID: it was not read from an API server.
    """
    return {
        "apiVersion": resource.get("apiVersion", API_VERSION),
        "kind": kind or resource["kind"],
        "name": resource["metadata"]["name"],
        "uid": resource["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_uid(resource: Object) -> str:
    """Return the UID of the object's controller, empty if it has none."""
    for owner in resource["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def is_ours(child: Object, owner: Object) -> bool:
    """Tell whether *owner*, this very object and no namesake, controls *child*."""
    return controller_uid(child) == str(owner["metadata"]["uid"])
