"""What the code of a Run may do with files, told by their paths in the artifact store.

`[workspaces/<namespace>/]<experiment>/` then `<run>/artifacts/…` (`<run>/a<N>/artifacts/…` of a
later attempt), `models/<model>/…` or `traces/<trace>/…`. A path that could mean another one after
decoding is refused.
"""

import re

from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.run_scope import require_model, require_run, require_trace
from trainyard_tracking.errors import Forbidden
from trainyard_tracking.identity import RunIdentity

Answer = Reply | None
_ATTEMPT = re.compile("a[0-9]+")
_LOGS = ["artifacts", "logs"]


def own_artifact_written(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a file of the Run's own runs, models and traces be written or deleted, but for logs."""
    path = call.arguments[0]
    require_own_path(path, who, own)
    if _has_logs(within_workspace(path, who.namespace), who, is_folder=call.method == "DELETE"):
        raise Forbidden(
            f"Artifact path {path} is of the logs of Run {who.name}, which the operator keeps:"
            " use another name than logs/attempt-…"
        )
    return None


def _has_logs(segments: list[str], who: RunIdentity, *, is_folder: bool) -> bool:
    """Tell whether a path is that of an attempt's log or, of a folder, has any below."""
    _, run_id, *rest = segments
    if run_id != who.run_id:
        return False
    if _ATTEMPT.fullmatch(rest[0]):
        del rest[0]
    if rest[:2] == _LOGS and len(rest) > 2:
        return rest[2].startswith("attempt-")
    return is_folder and rest == _LOGS[: len(rest)]


def readable_artifact(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a file be read that is the Run's or that of a registered version."""
    if not is_registered(call.arguments[0], who, own):
        require_own_path(call.arguments[0], who, own)
    return None


def readable_folder(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Let a folder be listed that is the Run's or that of a registered version."""
    paths = call.values("path")
    if len(paths) != 1:
        raise Forbidden("Say which folder to list: the root of the store is not the Run's")
    if not is_registered(paths[0], who, own):
        require_own_path(paths[0], who, own)
    return None


def is_registered(path: str, who: RunIdentity, own: Ownership) -> bool:
    """Tell whether a registered version of the namespace has this file."""
    segments = within_workspace(path, who.namespace)
    return own.registered.is_registered_path(who.namespace, "/".join(segments))


def require_own_path(path: str, who: RunIdentity, own: Ownership) -> None:
    """Refuse a path that is not below a run, model or trace of the Run."""
    segments = within_workspace(path, who.namespace)
    if len(segments) < 3 or segments[0] != who.experiment_id:
        raise Forbidden(f"Artifact path {path} is not that of Run {who.name}")
    kind, name = segments[1], segments[2]
    if kind == "models":
        require_model(name, who, own)
    elif kind == "traces":
        require_trace(name, who, own)
    else:
        require_run(kind, who, own)


def within_workspace(path: str, namespace: str) -> list[str]:
    """Split a path into its segments, without the workspace's prefix.

    Raises:
        Forbidden: the path leaves the namespace, or is not in its plain form.
    """
    segments = path.strip("/").split("/")
    if "%" in path or "\\" in path or any(one in {"", ".", ".."} for one in segments):
        raise Forbidden(f"Artifact path {path!r} is not in its plain form")
    if segments[0] != "workspaces":
        return segments
    if len(segments) < 2 or segments[1] != namespace:
        raise Forbidden(f"Artifact path {path} is in another namespace")
    return segments[2:]
