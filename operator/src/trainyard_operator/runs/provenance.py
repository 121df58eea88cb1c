"""What MLflow shows of where a Run came from: its source, its maker, and the way back. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from trainyard_api.contract import CREATED_BY_ANNOTATION

from trainyard_operator.engine.plan import Object

_LONGEST = 200
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def tags(run: Object) -> dict[str, str]:
    """Return the tags that MLflow keeps of a Run; its code may set others in their place.

    The maker is whom the Run names, which nobody vouches for, as MLflow's own clients say.
    """
    meta, spec = run["metadata"], run["spec"]
    name, namespace = meta["name"], meta["namespace"]
    maker = (meta.get("annotations") or {}).get(CREATED_BY_ANNOTATION, "")
    found = {
        "trainyard.run": name,
        "trainyard.namespace": namespace,
        "mlflow.note.content": f"Run `{name}` of namespace `{namespace}`:"
        f" `trainyard describe run {name} -n {namespace}`",
        **_source(spec),
    }
    return {**found, "mlflow.user": maker} if maker else found


def _source(spec: Mapping[str, Any]) -> dict[str, str]:
    git = (spec.get("source") or {}).get("git")
    if git is None:
        return {"mlflow.source.name": _program(spec), "mlflow.source.type": "JOB"}
    url, revision = git["url"], git["revision"]
    part = "commit" if _COMMIT.fullmatch(revision) else "branch"
    return {
        # MLflow's UI makes a link of this.
        "mlflow.source.name": f"{url}#{git['path']}" if git.get("path") else url,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.repoURL": url,
        f"mlflow.source.git.{part}": revision,
    }


def _program(spec: Mapping[str, Any]) -> str:
    """Name the script; or the image, where the image brings the code."""
    words = [*spec["command"], *(spec.get("args") or ())]
    script = next((word for word in words if word.endswith((".py", ".sh"))), "")
    if not spec.get("source") and spec.get("image"):
        return f"{spec['image']} {script[:_LONGEST]}".rstrip()
    return (script or " ".join(words))[:_LONGEST]
