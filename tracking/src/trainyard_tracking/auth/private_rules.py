"""The rule of every private route: what the operator, Runs, publishing and serving may do. Rows."""

from trainyard_api.contract import HEALTH_ROUTE, READY_ROUTE, TRACKING_API

from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.rules import Access, row
from trainyard_tracking.errors import Forbidden
from trainyard_tracking.identity import DeploymentIdentity, RunIdentity, VersionIdentity

_IN = f"{TRACKING_API}/namespaces/{{}}"
_OPERATOR = Access.OPERATOR


def own_record(call: Call, who: RunIdentity, own: Ownership) -> Reply | None:
    """Let a Run see what is recorded of itself."""
    _same_namespace(call, who.namespace)
    if call.arguments[1] != who.run_id:
        raise Forbidden(f"Run {call.arguments[1]} is not Run {who.name}")
    return None


def namespace_blob(call: Call, who: RunIdentity, own: Ownership) -> Reply | None:
    """Let a Run fetch its source, which it knows by its digest."""
    _same_namespace(call, who.namespace)
    return None


def version_content(call: Call, who: VersionIdentity) -> None:
    """Let a publishing Job read and write content of its namespace."""
    _same_namespace(call, who.namespace)


def version_source(call: Call, who: VersionIdentity) -> None:
    """Let a publishing Job read the source of its own version."""
    _same_namespace(call, who.namespace)
    if call.arguments[1] != who.name:
        raise Forbidden(f"ModelVersion {call.arguments[1]} is not {who.name}")


def deployed_model(call: Call, who: DeploymentIdentity) -> None:
    """Let serving pods read the models that their Deployment names."""
    _same_namespace(call, who.namespace)
    if f"sha256:{call.arguments[1]}" not in who.digests:
        raise Forbidden(f"Deployment {who.name} does not serve sha256:{call.arguments[1]}")


def _same_namespace(call: Call, namespace: str) -> None:
    if call.arguments[0] != namespace:
        raise Forbidden(f"The token is for namespace {namespace}, not {call.arguments[0]}")


PRIVATE_ROWS = (
    row("GET", HEALTH_ROUTE, Access.OPEN),
    row("GET", READY_ROUTE, Access.OPEN),
    row("GET", "/metrics", Access.OPEN),
    row("GET", f"{_IN}/runs", _OPERATOR),
    row("PUT", f"{_IN}/runs/{{}}", _OPERATOR),
    row("POST", f"{_IN}/runs/{{}}/finish", _OPERATOR),
    row("GET", f"{_IN}/runs/{{}}/summary", "get runs", own_record),
    row("HEAD PATCH", f"{_IN}/runs/{{}}/logs/{{}}", _OPERATOR),
    row("GET", f"{_IN}/runs/{{}}/logs/{{}}", "get runs", own_record),
    row("HEAD PATCH", f"{_IN}/runs/{{}}/logs/{{}}/{{}}", _OPERATOR),
    row("GET", f"{_IN}/runs/{{}}/logs/{{}}/{{}}", "get runs", own_record),
    row("POST", f"{_IN}/audit", _OPERATOR),
    row(
        "HEAD GET",
        f"{_IN}/blobs/sha256:{{}}",
        "get runs",
        namespace_blob,
        version=version_content,
    ),
    row("GET", f"{_IN}/blobs/sha256:{{}}/upload", "create runs", version=version_content),
    row("PUT", f"{_IN}/blobs/sha256:{{}}", "create runs", version=version_content),
    row(
        "HEAD GET",
        f"{_IN}/models/sha256:{{}}/files/{{...}}",
        "get modelversions",
        version=version_content,
        deployment=deployed_model,
    ),
    row(
        "HEAD GET",
        f"{_IN}/models/sha256:{{}}",
        "get modelversions",
        version=version_content,
        deployment=deployed_model,
    ),
    row("PUT", f"{_IN}/models/sha256:{{}}", Access.NOBODY, version=version_content),
    row("GET", f"{_IN}/modelversions/{{}}/source", "get modelversions", version=version_source),
    row(
        "HEAD GET",
        f"{_IN}/modelversions/{{}}/source/{{...}}",
        "get modelversions",
        version=version_source,
    ),
)
