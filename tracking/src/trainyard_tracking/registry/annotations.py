"""What MLflow knows of a version that the resource's schema has no field for.

Kept as annotations at creation; versions that were made otherwise have none, and the source and
the status answer as far as they can. Pure.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from trainyard_api.contract import GROUP, RUN_UID_LABEL

from trainyard_tracking.kube import Object

_SOURCE = f"{GROUP}/mlflow-source"
_RUN_ID = f"{GROUP}/mlflow-run-id"
_RUN_LINK = f"{GROUP}/mlflow-run-link"
_MODEL_ID = f"{GROUP}/mlflow-model-id"
_ATTEMPT = re.compile("a[0-9]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version came from, in MLflow's words."""

    source: str
    run_id: str = ""
    run_link: str = ""
    model_id: str = ""

    def annotations(self) -> dict[str, str]:
        """Write it down, without what is empty."""
        written = {
            _SOURCE: self.source,
            _RUN_ID: self.run_id,
            _RUN_LINK: self.run_link,
            _MODEL_ID: self.model_id,
        }
        return {key: value for key, value in written.items() if value}


def source_of(version: Object) -> str:
    """Give the source as MLflow shows it."""
    source, status = version["spec"]["source"], version.get("status") or {}
    if noted := _noted(version, _SOURCE):
        return noted
    if "uri" in source:
        return str(source["uri"])
    if "mlflowRun" in source:
        return f"runs:/{source['mlflowRun']['id']}/{source['mlflowRun']['artifactPath']}"
    if status.get("source"):
        return str(status["source"])
    run_id = run_id_of(version)
    return f"runs:/{run_id}/{source['run'].get('artifactPath', '')}" if run_id else ""


def run_id_of(version: Object) -> str | None:
    """Give the id of the MLflow run that a version came from, if one is known."""
    named = version["spec"]["source"].get("mlflowRun", {}).get("id")
    # The id of a Run's MLflow run is the Run's UID.
    registered = run_uid_of(version).replace("-", "")
    return told_run_id(version) or named or registered or None


def told_run_id(version: Object) -> str | None:
    """Give the same as the operator found it, or the client that made the version said it."""
    return (version.get("status") or {}).get("runID") or _noted(version, _RUN_ID)


def run_uid_of(version: Object) -> str:
    """Give the UID of the Run that registered a version; nothing if none did."""
    return str((version["metadata"].get("labels") or {}).get(RUN_UID_LABEL, ""))


def model_id_of(version: Object) -> str | None:
    """Give the id of the logged model that a version came from, if one is known."""
    source = source_of(version)
    return _noted(version, _MODEL_ID) or (
        source.removeprefix("models:/") if source.startswith("models:/m-") else None
    )


def run_link_of(version: Object) -> str | None:
    """Give the link to the run that the caller gave, if any."""
    return _noted(version, _RUN_LINK)


def is_file_of(version: Object, path: str) -> bool:
    """Tell whether a path in the artifact store, without the workspace, is below the source.

    `<experiment>/models/<model>/…` or `<experiment>/<run>/artifacts/<path>/…`, where attempts of a
    Run after the first have a folder between.
    """
    segments = path.split("/")
    if len(segments) > 3 and segments[3] == "artifacts" and _ATTEMPT.fullmatch(segments[2]):
        del segments[2]
    if len(segments) < 3:
        return False
    if segments[1] == "models":
        return segments[2] == model_id_of(version)
    source = source_of(version)
    if source.startswith("mlflow-artifacts:"):
        return _is_below(source, path)
    wanted = f"runs:/{segments[1]}/{'/'.join(segments[3:])}/"
    in_run = source.startswith("runs:/") and wanted.startswith(f"{source.rstrip('/')}/")
    return segments[2] == "artifacts" and source.count("/") > 1 and in_run


def run_with_files_of(version: Object) -> str | None:
    """Give the run in whose folder the source is, None if it is in none."""
    source = source_of(version)
    if source.startswith("runs:/"):
        return source.removeprefix("runs:/").partition("/")[0]
    folder = _folder(source)
    return folder[1] if len(folder) > 2 and folder[1] != "models" else None


def _is_below(source: str, path: str) -> bool:
    """Tell whether a path is below a source in the store; never everything of an experiment."""
    folder = _folder(source)
    return len(folder) > 2 and path.split("/")[: len(folder)] == folder


def _folder(source: str) -> list[str]:
    """Split the place of a source in the store, without the workspace; empty if it is in none."""
    if not source.startswith("mlflow-artifacts:"):
        return []
    try:
        folder = urlsplit(source).path.strip("/").split("/")
    except ValueError:
        # The schema lets through what only looks like a URI, and an annotation may be anything.
        return []
    return folder[2:] if folder[:1] == ["workspaces"] else folder


def _noted(version: Object, key: str) -> str | None:
    return (version["metadata"].get("annotations") or {}).get(key)
