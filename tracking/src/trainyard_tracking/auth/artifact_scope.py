"""What people and the code of a Run may do with files, told by their paths in the artifact store.

`[workspaces/<namespace>/]<experiment>/` then `<run>/artifacts/…` (`<run>/a<N>/artifacts/…` of a
later attempt), `models/<model>/…` or `traces/<trace>/…`. A path is decoded as MLflow does it and
written plainly before anybody looks at it, and it is that text which MLflow gets to see: there is
no second meaning left.
"""

import re

from mlflow.exceptions import (
    _UnsupportedMultipartDownloadException,
    _UnsupportedMultipartUploadException,
)
from mlflow.utils.uri import _decode
from trainyard_api.paths import BadPath, normal

from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.rules import Path, Where
from trainyard_tracking.auth.run_scope import require_model, require_run, require_trace
from trainyard_tracking.errors import Forbidden, NotSupported, Refused
from trainyard_tracking.identity import Identity, RunIdentity

Answer = Reply | None
NO_UPLOAD = _UnsupportedMultipartUploadException.MESSAGE
NO_DOWNLOAD = _UnsupportedMultipartDownloadException.MESSAGE
_DECODINGS = 5
# Experiment, run and `artifacts`: what is changed is of one run, model or trace.
_FEWEST_CHANGED = 3
_ATTEMPT = re.compile("a[0-9]+")
_LOGS = ["artifacts", "logs"]


def no_multipart_upload(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Send a client to the way that there is: the file whole."""
    raise NotSupported(NO_UPLOAD)


def no_multipart_download(call: Call, who: RunIdentity, own: Ownership) -> Answer:
    """Send a client to the way that there is: the file whole."""
    raise NotSupported(NO_DOWNLOAD)


def check_path(call: Call, place: Path, who: Identity, own: Ownership) -> None:
    """Write the path of a request plainly, and refuse one outside of the caller's namespace.

    Raises:
        Refused: it has no plain form, means a folder where a file is, or lost its end.
        Forbidden: it is not in the namespace.
    """
    given = call.values(place.field)[:2] if place.field else [call.arguments[-1]]
    if len(given) > 1:
        raise Refused(f"{place.field} is there twice; keep one")
    path = plain(given[0]) if given else ""
    if not path and not place.folder:
        raise Refused(f"{place.field or 'The path'} {given} names no file")
    if call.method == "PUT" and call.query:
        # Stored, it would be another file, and in the place of one of that name.
        raise Refused(
            f"The file's name has a question mark after {path[-80:]!r}, where MLflow's client"
            " cuts it off: rename the file"
        )
    if place.field:
        call.force(place.field, [path] if path else [])
    else:
        call.arguments = (*call.arguments[:-1], path)
        call.path = call.path.removesuffix(given[0]) + path
    if place.where is Where.STORE:
        _require_in_namespace(path, call, own)


def plain(path: str) -> str:
    """Decode a path as MLflow does, and write it without `.`, `dir/..` and doubled slashes.

    Raises:
        Refused: it is absolute, climbs out or can't be decoded.
    """
    found = path
    try:
        for _ in range(_DECODINGS):
            written = normal(_decode(found))
            if written == found:
                return found
            found = written
    except (BadPath, ValueError) as exc:
        raise Refused(f"Artifact path: {exc}") from exc
    raise Refused(f"Artifact path {path[:80]!r} is encoded too often")


def _require_in_namespace(path: str, call: Call, own: Ownership) -> None:
    """Refuse a path outside of the namespace's own experiments; `default` has no other rights.

    MLflow has the files of `default` at the root of the store, beside those of all others, and
    takes a path there for its own unless it begins with `workspaces/`.
    """
    segments = within_workspace(path, call.namespace)
    if not segments or not own.has_experiment(call.namespace, segments[0]):
        raise Forbidden(
            f"Artifact path {path!r} is not below an experiment of namespace {call.namespace}"
        )
    if call.method in {"PUT", "DELETE"} and len(segments) < _FEWEST_CHANGED:
        raise Forbidden(
            f"Artifact path {path} is of more than one run: change EXPERIMENT/RUN/artifacts/… or"
            " EXPERIMENT/models/MODEL/…"
        )


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
        Refused: it has no plain form.
        Forbidden: it leaves the namespace.
    """
    segments = [one for one in plain(path).split("/") if one]
    if segments[:1] != ["workspaces"]:
        return segments
    if segments[1:2] != [namespace]:
        raise Forbidden(f"Artifact path {path} is in another namespace")
    return segments[2:]
