"""What every Kubernetes object has, and what marks ours: plurals, owners, managers. Pure."""

from trainyard_api import contract

from trainyard_operator.engine.plan import Object

API_VERSION = contract.API_VERSION
FIELD_MANAGER = contract.OPERATOR_MANAGER
MANAGED_BY = {contract.MANAGED_BY_LABEL: contract.MANAGED_BY}
SELECTOR = f"{contract.MANAGED_BY_LABEL}={contract.MANAGED_BY}"
"""Finds the children among everybody's objects."""

JOBS = "jobs"
PODS = "pods"
DEPLOYMENTS = "deployments"
SERVICES = "services"
BUDGETS = "poddisruptionbudgets"
CHILDREN = (JOBS, PODS, DEPLOYMENTS, SERVICES, BUDGETS)

OWN_RESOURCES = tuple(contract.PLURALS.values())

MANY = (contract.RUNS, JOBS, PODS)
"""Of these there are tens of thousands."""
WATCHED_BY_KOPF = tuple(each for each in OWN_RESOURCES if each not in MANY)

# (apiVersion, kind) → the plural that URLs have, and by which World names resources.
PLURALS = {
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): SERVICES,
    ("v1", "Pod"): PODS,
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Node"): "nodes",
    ("v1", "Namespace"): "namespaces",
    ("v1", "Event"): "events",
    ("batch/v1", "Job"): JOBS,
    ("apps/v1", "Deployment"): DEPLOYMENTS,
    ("policy/v1", "PodDisruptionBudget"): BUDGETS,
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("events.k8s.io/v1", "Event"): "events",
    **{(API_VERSION, kind): plural for kind, plural in contract.PLURALS.items()},
}


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
