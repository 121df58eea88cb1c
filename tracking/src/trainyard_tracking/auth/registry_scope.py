"""What the code of a Run may do in the registry: read, and register what it made itself."""

from urllib.parse import urlsplit

from trainyard_tracking.auth.artifact_scope import require_own_path
from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.run_scope import require_model, require_run
from trainyard_tracking.errors import Forbidden, Refused
from trainyard_tracking.identity import RunIdentity

Answer = Reply | None


def new_version(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a version be made of what the Run's own runs logged."""
    for run_id in call.values("run_id"):
        require_run(run_id, who, own)
    for model_id in call.values("model_id"):
        require_model(model_id, who, own)
    for source in call.values("source"):
        _require_source(source, who, own)
    return None


def own_version(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let notes be made on a version that the Run's own runs made."""
    for name in call.values("name"):
        for version in call.values("version"):
            run_id = own.registered.run_of(who.namespace, name, version)
            if run_id is None:
                raise Forbidden(f"Version {version} of {name} was not made by Run {who.name}")
            require_run(run_id, who, own)
    return None


def plain_alias(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let an alias without a policy point at a version that the Run made."""
    for name in call.values("name"):
        for alias in call.values("alias"):
            if own.registered.is_stage(who.namespace, name, alias):
                raise Forbidden(
                    f"Alias {alias} of {name} is a stage: gates or people move it, not a Run"
                )
    return own_version(call, who, own)


def _require_source(source: str, who: RunIdentity, own: Ownership) -> None:
    try:
        parts = urlsplit(source)
    except ValueError as exc:
        raise Refused(f"source {source!r} is no URI: {exc}") from exc
    segments = parts.path.strip("/").split("/")
    if parts.netloc or parts.query or parts.fragment:
        raise Forbidden(f"Source {source} can't be told to be that of Run {who.name}")
    if parts.scheme == "runs":
        require_run(segments[0], who, own)
    elif parts.scheme == "models" and len(segments) == 1:
        require_model(segments[0], who, own)
    elif parts.scheme == "mlflow-artifacts":
        require_own_path(parts.path.removeprefix("/"), who, own)
    else:
        raise Forbidden(
            f"A Run registers what it logged itself; source {source} is from elsewhere:"
            " make the version with kubectl or an own token"
        )
