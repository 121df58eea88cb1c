"""Finds the files behind a ModelVersion's source, whichever way the source says it.

Only files in this service's own artifact store, in the version's own namespace.
"""

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _get_tracking_store
from mlflow.utils.workspace_context import ServerWorkspaceContext
from trainyard_api.paths import is_plain

from trainyard_tracking.content import Located
from trainyard_tracking.errors import Conflict, NotFound, Unprocessable
from trainyard_tracking.kube import Object
from trainyard_tracking.mlflow_env import ARTIFACTS_PREFIX
from trainyard_tracking.objects import Entry, Objects
from trainyard_tracking.recording import find
from trainyard_tracking.registry.annotations import run_uid_of, told_run_id
from trainyard_tracking.summary import outcome

_DEEPEST = 5
_MOST_ROOTS = 50_000


class Resources(Protocol):
    """The resources that a source may name."""

    def version(self, namespace: str, name: str) -> Object | None: ...

    def version_of(self, namespace: str, model: str, number: str) -> Object | None: ...

    def run(self, namespace: str, name: str) -> Object | None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from: MLflow's URI, the run if there is one, the folder's key."""

    uri: str
    run_id: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Resolves and reads sources."""

    resources: Resources
    objects: Objects

    def of(self, namespace: str, name: str) -> Source:
        """Resolve the source of a ModelVersion.

        Raises:
            NotFound: the version, or what its source names, is not there.
            Unprocessable: the source is outside of this service's store.
        """
        resource = self.resources.version(namespace, name)
        if resource is None:
            raise NotFound(f"ModelVersion {namespace}/{name} does not exist")
        return self.of_version(namespace, resource)

    def of_version(self, namespace: str, version: Object, depth: int = 0) -> Source:
        """Resolve the source of a ModelVersion that is at hand."""
        source = version["spec"]["source"]
        if "run" not in source:
            return self.resolve(namespace, source, depth)
        run_id = self._run_of(namespace, version)
        if not run_id:
            raise NotFound(f"Run {namespace}/{source['run']['name']} is not recorded")
        return _logged(namespace, run_id, source["run"].get("artifactPath"))

    def resolve(self, namespace: str, source: Object, depth: int = 0) -> Source:
        """Resolve the source of a version that is not made yet, or names no Run."""
        if depth > _DEEPEST:
            raise Unprocessable("The source names a version that names a version, too often")
        if "mlflowRun" in source:
            wanted = source["mlflowRun"]
            return _logged(namespace, wanted["id"], wanted["artifactPath"])
        return self._of_uri(namespace, source["uri"], depth)

    def files(self, source: Source) -> list[Entry]:
        """List the files of a source.

        Raises:
            NotFound: there are none.
        """
        found = sorted(self.objects.under(f"{source.key}/"), key=lambda entry: entry.path)
        if not found:
            raise NotFound(f"Source {source.uri} has no files")
        return found

    def file_of(self, source: Source, path: str) -> Located:
        """Say where one file of a source is.

        Raises:
            NotFound: there can be no such file.
        """
        missing = f"Source {source.uri} has no file {path}"
        if not is_plain(path):
            raise NotFound(missing)
        return Located(f"{source.key}/{path}", missing)

    def _run_of(self, namespace: str, version: Object) -> str:
        """Give a version's MLflow run; the name of its Run may be that of another by now."""
        if known := told_run_id(version):
            return known
        uid = run_uid_of(version)
        run = self.resources.run(namespace, version["spec"]["source"]["run"]["name"]) or {}
        is_its = bool(run) and uid in {"", run["metadata"]["uid"]}
        # One that was restored from a backup has a new UID, and the id that it had.
        held = (run.get("status") or {}).get("runID") if is_its else None
        return str(held or uid.replace("-", ""))

    def _of_uri(self, namespace: str, uri: str, depth: int) -> Source:
        try:
            parts = urlsplit(uri)
        except ValueError as exc:
            raise Unprocessable(f"Source {uri} is no URI: {exc}") from exc
        if parts.query or parts.fragment:
            # Its path would be that of another folder.
            raise Unprocessable(f"Source {uri} is no plain path: it ends before ? and #")
        first, _, rest = parts.path.strip("/").partition("/")
        if parts.scheme == "runs":
            return _logged(namespace, first, rest)
        if parts.scheme == "mlflow-artifacts":
            return Source(uri, _run_in(parts.path), artifact_key(namespace, uri))
        if parts.scheme != "models":
            raise Unprocessable(
                f"Source {uri} is outside of the tracking service's store: log the model to it"
            )
        if not rest:
            return _logged_model(namespace, first)
        other = self.resources.version_of(namespace, first, rest)
        if other is None:
            raise NotFound(f"Source {uri} does not exist in namespace {namespace}")
        return self.of_version(namespace, other, depth + 1)


def artifact_key(namespace: str, uri: str) -> str:
    """Give the key in the bucket of a URI in MLflow's artifact store.

    Raises:
        NotFound: the URI is of another namespace.
    """
    path = urlsplit(uri).path.strip("/")
    if not is_plain(path) or "%" in path:
        raise NotFound(f"Artifact URI {uri} is not in its plain form")
    return path_key(namespace, path)


def path_key(namespace: str, path: str) -> str:
    """Give the key of a plain path in MLflow's artifact store.

    Raises:
        NotFound: the path is of another namespace, or none that files are in.
    """
    segments = path.split("/")
    if segments[0] == "workspaces":
        if len(segments) < 3 or segments[1] != namespace:
            raise NotFound(f"Artifact path {path} is not in namespace {namespace}")
    elif namespace != "default":
        # As MLflow does: only the default workspace has files outside of `workspaces/`.
        path = f"workspaces/{namespace}/{path}"
    return f"{ARTIFACTS_PREFIX}/{path}"


def _logged(namespace: str, run_id: str, path: str | None) -> Source:
    root = artifact_root(namespace, run_id)
    models = [one for one in outcome(run_id, namespace)["models"] if one["modelID"]]
    chosen = [one for one in models if path in {None, one["name"], one["modelID"]}]
    if chosen:
        # The newest of the name, as an MLflow 3 client would see it under the run.
        model_id = chosen[0 if path is None else -1]["modelID"]
        found = _logged_model(namespace, model_id)
        return Source(found.uri, run_id, found.key)
    if path is None:
        raise NotFound(f"Run {run_id} logged no model: log one, or say its artifactPath")
    if not is_plain(path):
        raise NotFound(f"Run {run_id} has no artifact {path}")
    return Source(f"runs:/{run_id}/{path}", run_id, f"{root}/{path}")


def _logged_model(namespace: str, model_id: str) -> Source:
    with ServerWorkspaceContext(namespace):
        try:
            model: Any = _get_tracking_store().get_logged_model(model_id)
        except MlflowException as exc:
            if exc.error_code != NotFound.code:
                # The database does not answer, which says nothing about the model.
                raise
            raise NotFound(f"Logged model {model_id} is not in namespace {namespace}") from exc
    key = artifact_key(namespace, model.artifact_location)
    return Source(f"models:/{model_id}", model.source_run_id, key)


def artifact_root(namespace: str, run_id: str) -> str:
    """Give the key below which the artifacts of a run are: another one for each attempt.

    Raises:
        NotFound: no such run in the namespace.
    """
    try:
        found = find(run_id, namespace)
    except Conflict:
        found = None
    if found is None:
        raise NotFound(f"MLflow run {run_id} is not in namespace {namespace}")
    return artifact_key(namespace, found.artifact_uri)


_roots: dict[tuple[str, str], str] = {}


def known_artifact_root(namespace: str, run_id: str) -> str:
    """Give the same without asking the database each time."""
    known = _roots.get((namespace, run_id))
    if known is None:
        if len(_roots) >= _MOST_ROOTS:
            _roots.clear()
        known = _roots[namespace, run_id] = artifact_root(namespace, run_id)
    return known


def forget_artifact_root(namespace: str, run_id: str) -> None:
    """Ask the database again: a run is recorded, or an attempt of it begins."""
    _roots.pop((namespace, run_id), None)


def forget_artifact_roots() -> None:
    """Ask the database again for all: experiments are another namespace's."""
    _roots.clear()


def _run_in(path: str) -> str | None:
    segments = path.strip("/").split("/")
    if segments[:1] == ["workspaces"]:
        segments = segments[2:]
    # Attempts after the first have a folder of their own between.
    is_run = "artifacts" in segments[2:4] and len(segments[1]) == 32
    return segments[1] if is_run else None
