"""Every derived name, label set and owner reference. Pure.

If a name of a child is spelled anywhere else, that is a bug. Resource names are at most 50
characters (the CRDs say so), so every name made here fits a label and a DNS name.
"""

from collections.abc import Mapping

from trainyard_operator.plan import Object

GROUP = "trainyard.dev"
API_VERSION = f"{GROUP}/v1alpha1"
FIELD_MANAGER = "trainyard-operator"
PROMOTER = "trainyard-promoter"

MANAGED_BY = {"app.kubernetes.io/managed-by": "trainyard"}
COMPONENT = "app.kubernetes.io/component"
RUN = f"{GROUP}/run"
RUN_UID = f"{GROUP}/run-uid"
ATTEMPT = f"{GROUP}/attempt"
MODEL = f"{GROUP}/model"
MODEL_VERSION = f"{GROUP}/model-version"
DEPLOYMENT = f"{GROUP}/deployment"

RETIRE_FINALIZER = f"{GROUP}/retire"


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


def publish_job(version: str) -> str:
    """Return the name of a ModelVersion's publishing Job."""
    return f"{version}-publish"


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


def run_labels(run: str, attempt: int) -> dict[str, str]:
    """Return the labels of an attempt's Job and pod."""
    return {**MANAGED_BY, COMPONENT: "run", RUN: run, ATTEMPT: str(attempt)}


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
