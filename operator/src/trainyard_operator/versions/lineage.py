"""Which run a version comes from. Pure.

A Run that was deleted and applied again shares nothing but its name with the one that was
registered, and an MLflow run outlives its Run. So the name counts only while no id is known:
status.runID, or else the label that the operator sets when it registers what a Run logged.
"""

from trainyard_operator import names
from trainyard_operator.engine.plan import Object


def own_run(version: Object, run: Object | None) -> Object | None:
    """Return the Run that has the name in the source, None if that is another by now.

    A Run that was restored from a backup has another UID, and in its status the id that it had.
    """
    known = known_run_id(version)
    if run is None or not known or known == names.run_id(run):
        return run
    by_label = not _held(version) and _registered_by(version) == run["metadata"]["uid"]
    return run if by_label else None


def known_run_id(version: Object) -> str:
    """Return the id of the MLflow run of a version whose Run may be gone; empty if unknown."""
    return _held(version) or _registered_by(version).replace("-", "")


def run_id(version: Object, run: Object | None) -> str:
    """Return the id of the MLflow run, empty while it is unknown; run is its own Run."""
    source = version["spec"]["source"]
    if "mlflowRun" in source:
        return str(source["mlflowRun"]["id"])
    return names.run_id(run) if run is not None else known_run_id(version)


def _held(version: Object) -> str:
    return str((version.get("status") or {}).get("runID") or "")


def _registered_by(version: Object) -> str:
    return str((version["metadata"].get("labels") or {}).get(names.RUN_UID, ""))
