"""What a path came to in a namespace, without what differs between any two that are equal."""

import re
from typing import Any

from on_cluster.runs import Kubectl, Object

OWN = ("experiments", "runs", "models", "modelversions", "modeldeployments")
CHILDREN = ("secrets", "jobs", "services", "deployments", "poddisruptionbudgets")
KEPT = ("name", "generation", "labels", "finalizers")
# What differs between any two runs of the same manifests.
MADE_ANEW = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z"  # times
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"  # UIDs, MLflow's runs
    r"|\b[0-9a-f]{64}\b|\b[0-9a-f]{8}\b"  # digests of models, and names with them
)
MEASURED = {"pod", "duration", "size", "experimentID"}


def end(kube: Kubectl) -> Any:
    """Return what there is in a namespace, without what differs between equal paths."""
    own = [(*described(each), each["spec"], each["status"]) for each in kube.list(",".join(OWN))]
    ours = "app.kubernetes.io/managed-by=trainyard"
    children = [described(each) for each in kube.list(",".join(CHILDREN), ours)]
    return [plain(each, kube.namespace) for each in (own, sorted(children, key=str))]


def described(each: Object) -> tuple[Any, ...]:
    meta = each["metadata"]
    owners = [(owner["kind"], owner["name"]) for owner in meta.get("ownerReferences", ())]
    return (each["kind"], owners, {key: meta.get(key) for key in KEPT})


def plain(value: Any, inside: str) -> Any:
    if isinstance(value, dict):
        return {k: plain(v, inside) for k, v in value.items() if k not in MEASURED}
    if isinstance(value, list | tuple):
        return [plain(each, inside) for each in value]
    return MADE_ANEW.sub("…", value.replace(inside, "…")) if isinstance(value, str) else value
