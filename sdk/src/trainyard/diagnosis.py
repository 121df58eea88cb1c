"""Is everything there that a data scientist needs? Each check with its remedy; changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from trainyard_api.conditions import TroubleReason
from trainyard_api.contract import (
    GROUP,
    PROMOTE_VERB,
    TRACKING_ANNOTATION,
    TRACKING_ANSWERS,
    VERSION,
)
from trainyard_api.deployment import Deployment
from trainyard_api.model_version import ModelVersion
from trainyard_api.run import Run

from trainyard._kube import Object
from trainyard._tracking import system_namespace
from trainyard.client import Client
from trainyard.errors import ApiError, Forbidden, NotFound, TrainyardError
from trainyard.kinds import KINDS, kind_name

LEASE = "trainyard-operator"
_ANSWER_WITHIN = httpx.Timeout(15, connect=10)
_INSTALL = (
    "Install the chart: helm install trainyard charts/trainyard -n trainyard-system"
    " --create-namespace"
)
_RIGHTS = (
    ("create", GROUP, "runs", "start Runs", "trainyard-scientist"),
    ("get", "", "pods/log", "follow a log live", "trainyard-scientist"),
    ("patch", GROUP, "models", "change Models", "trainyard-scientist"),
    (PROMOTE_VERB, GROUP, "models", "promote versions", "trainyard-approver"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: ok is None where there was no telling."""

    name: str
    ok: bool | None
    detail: str = ""
    fix: str = ""


def diagnose(
    client: Client, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """Yield findings one after the other; an unreachable cluster is the last one."""
    cluster = _attempt("cluster", lambda: _version(client))
    yield cluster
    if not cluster.ok:
        return
    yield _attempt("you", lambda: client.username)
    yield _attempt("resources", lambda: _resources(client))
    operator, noted = _operator(client, now())
    yield operator
    client.tracking.timeout = _ANSWER_WITHIN
    yield _attempt("tracking", lambda: _tracking(client))
    yield _tracking_for_operator(client, noted)
    for verb, group, resource, purpose, role in _RIGHTS:
        yield _right(client, verb, group, resource, purpose=purpose, role=role)


def _attempt(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except TrainyardError as exc:
        return Finding(name, False, exc.message, exc.fix)


def _version(client: Client) -> str:
    answer = client.kube.request("GET", "/version", what="reach the cluster")
    access = client.kube.access
    version = answer.get("gitVersion", "?")
    return f"Kubernetes {version}, context {access.context}, namespace {client.namespace}"


def _resources(client: Client) -> str:
    try:
        answer = client.kube.request(
            "GET", f"/apis/{GROUP}/{VERSION}", what="find Trainyard's resources"
        )
    except NotFound as exc:
        raise NotFound("This cluster has no Trainyard resources", fix=_INSTALL, status=404) from exc
    there = {resource["name"] for resource in answer.get("resources", [])}
    missing = [k.definition.plural for k in KINDS if k.definition.plural not in there]
    if missing:
        raise NotFound(
            f"The cluster's Trainyard is another version: it lacks {', '.join(missing)}",
            fix="Upgrade the chart to this version of the CLI",
            status=404,
        )
    return f"{GROUP}/{VERSION}, all {len(KINDS)} kinds"


def _operator(client: Client, now: datetime) -> tuple[Finding, str]:
    """Look at the operator's lease, and for what it noted there about the tracking service."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{system_namespace()}/leases/{LEASE}"
    try:
        lease = client.kube.request("GET", path, what="look at the operator")
    except Forbidden:
        return Finding("operator", None, "you may not see its lease, which is usual"), ""
    except NotFound:
        return Finding("operator", False, "it has not started yet", _INSTALL), ""
    except TrainyardError as exc:
        return Finding("operator", False, exc.message, exc.fix), ""
    finding = _lease_finding(client, lease.get("spec") or {}, now)
    notes = lease["metadata"].get("annotations") or {}
    return finding, notes.get(TRACKING_ANNOTATION, "") if finding.ok else ""


def _lease_finding(client: Client, spec: Object, now: datetime) -> Finding:
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        return Finding("operator", False, "no replica leads", _look(client, "operator"))
    age = (now - datetime.fromisoformat(renewed)).total_seconds()
    if age > 2 * int(spec.get("leaseDurationSeconds") or 15):
        said = f"{holder} was last heard of {age:.0f} s ago"
        return Finding("operator", False, said, _look(client, "operator"))
    return Finding("operator", True, f"{holder} leads")


def _tracking_for_operator(client: Client, noted: str) -> Finding:
    """Tell whether the operator reaches the tracking service, which it does by a way of its own.

    It says so in its lease; who may not see that, or has an operator of before, is told what
    waits for the service in the namespace.
    """
    name = "tracking, for the operator"
    if noted == TRACKING_ANSWERS:
        return Finding(name, True, noted)
    if noted:
        return Finding(name, False, noted, _fix_way(client))
    try:
        waiting = list(_waiting_for_tracking(client))
    except TrainyardError as exc:
        return Finding(name, None, f"there is no telling: {exc.message}")
    if not waiting:
        there = f"it does not tell you, and nothing in namespace {client.namespace} waits for it"
        return Finding(name, None, there)
    first, more = waiting[0], len(waiting) - 1
    others = f" (and {more} more)" if more else ""
    return Finding(name, False, f"{first}{others}", _fix_way(client))


def _waiting_for_tracking(client: Client) -> Iterator[str]:
    """Yield what the operator says of each resource that waits for the tracking service."""
    found: list[Run | ModelVersion | Deployment] = [
        *client.list(Run),
        *client.list(ModelVersion),
        *client.list(Deployment),
    ]
    for each in found:
        for condition in each.status.conditions:
            if condition.reason == TroubleReason.TRACKING_UNAVAILABLE:
                yield f"{kind_name(type(each))} {each.metadata.name} waits: {condition.message}"
                break


def _fix_way(client: Client) -> str:
    kubectl = f"kubectl{_kubectl_options(client)} -n {system_namespace()}"
    return (
        "Of a certificate that it does not trust: tracking.tls of the chart; if nothing gets"
        " through: NetworkPolicies. The operator's log says more:"
        f" {kubectl} logs deployment/trainyard-operator"
    )


def _kubectl_options(client: Client) -> str:
    access = client.kube.access
    return f" --context {access.context}" if access.is_chosen else ""


def _look(client: Client, part: str) -> str:
    kubectl = f"kubectl{_kubectl_options(client)} -n {system_namespace()}"
    return f"Look at its pods: {kubectl} describe deployment trainyard-{part}"


def _tracking(client: Client) -> str:
    try:
        client.tracking.healthy()
    except ApiError as exc:
        raise ApiError(exc.message, fix=_look(client, "tracking")) from exc
    try:
        client.tracking.mlflow(
            "experiments/search?max_results=1",
            namespace=client.namespace,
            what=f"read experiments of namespace {client.namespace}",
        )
    except TrainyardError as exc:
        raise type(exc)(f"healthy, but not for you: {exc.message}", fix=exc.fix) from exc
    return f"healthy, and lets you read namespace {client.namespace}"


def _right(
    client: Client, verb: str, group: str, resource: str, *, purpose: str, role: str
) -> Finding:
    name, _, subresource = resource.partition("/")
    attributes = {"namespace": client.namespace, "verb": verb, "group": group, "resource": name}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**attributes, "subresource": subresource}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    try:
        answer = client.kube.request("POST", path, what="ask for your rights", body=body)
    except TrainyardError as exc:
        return Finding(f"may you {purpose}?", None, exc.message, exc.fix)
    if (answer.get("status") or {}).get("allowed"):
        return Finding(f"may you {purpose}?", True, "yes")
    return Finding(
        f"may you {purpose}?",
        None,
        "no",
        f"If you should: a RoleBinding of ClusterRole {role} to you in {client.namespace}",
    )
