"""Reading what a model says about itself, and refusing the formats its Model does not allow.

It holds no token and parses YAML and text only: whatever a pickle in the folder would do when
loaded, it is not done here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trainyard_agent.errors import RefusedError, SourceError

FIELDS_FILE = "manifest-fields.json"
_GENERIC = "python_function"
_ALSO_CALLED = {"pyfunc": _GENERIC}
_TOO_LARGE = 8 << 20


def convert(model: Path, *, out: Path, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """Write the manifest's fields that are not files, and return them.

    Args:
        model: Folder with the MLmodel file.
        out: Folder for `manifest-fields.json`.
        allowed: Flavors that the Model allows; none means all.

    Raises:
        SourceError: There is no MLmodel, or it is not readable as one.
        RefusedError: A flavor is not allowed.
    """
    described = read_mlmodel(model)
    flavors = flavor_versions(described)
    refuse_formats(flavors, allowed=allowed)
    fields: dict[str, Any] = {"flavors": flavors, "requirements": requirements(model)}
    signature = read_signature(described)
    if signature:
        fields["signature"] = signature
    out.mkdir(parents=True, exist_ok=True)
    (out / FIELDS_FILE).write_text(json.dumps(fields, sort_keys=True))
    return fields


def read_mlmodel(model: Path) -> Mapping[str, Any]:
    """Read the MLmodel file of the folder."""
    path = model / "MLmodel"
    if path.is_symlink() or not path.is_file():
        names = sorted(p.name for p in model.iterdir())[:10] if model.is_dir() else []
        raise SourceError(
            f"the source has no MLmodel file (it has: {', '.join(names) or 'nothing'}): log the"
            " model with mlflow.<flavor>.log_model and point source.artifactPath at its folder",
            reason="SourceMissing",
        )
    if path.stat().st_size > _TOO_LARGE:
        raise SourceError(f"the MLmodel file is larger than {_TOO_LARGE} bytes")
    try:
        described = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise SourceError(f"the MLmodel file is no YAML: {exc}") from exc
    if not isinstance(described, dict) or not isinstance(described.get("flavors"), dict):
        raise SourceError("the MLmodel file lists no flavors: log the model again with MLflow")
    return described


def flavor_versions(described: Mapping[str, Any]) -> dict[str, str]:
    """Return each flavor with the version of its library, empty where it names none."""
    found = {}
    for name, settings in described["flavors"].items():
        keys = ("python_version",) if name == _GENERIC else (f"{name}_version", "version")
        known = settings if isinstance(settings, dict) else {}
        found[str(name)] = next((str(known[k]) for k in keys if known.get(k)), "")
    return found


def refuse_formats(flavors: Mapping[str, str], *, allowed: Sequence[str]) -> None:
    """Raise RefusedError unless every native flavor is allowed.

    The generic python_function comes with nearly every model and says nothing of its format,
    so it counts only where it is the only flavor.
    """
    permitted = {_ALSO_CALLED.get(name, name) for name in allowed}
    native = set(flavors) - {_GENERIC} or set(flavors)
    refused = sorted(native - permitted)
    if not permitted or not refused:
        return
    raise RefusedError(
        f"the model is in the format {', '.join(refused)}, its Model allows"
        f" {', '.join(sorted(allowed))}: log it in one of these, or add the format to"
        " spec.allowedFormats of the Model and register it again"
    )


def read_signature(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the signature with its parts as JSON values; empty if there is none.

    Raises:
        SourceError: A part is no JSON.
    """
    signature = described.get("signature") or {}
    parts = {k: v for k, v in signature.items() if k in {"inputs", "outputs", "params"} and v}
    try:
        return {k: json.loads(v) if isinstance(v, str) else v for k, v in parts.items()}
    except ValueError as exc:
        raise SourceError(f"the MLmodel file's signature is no JSON: {exc}") from exc


def requirements(model: Path) -> list[str]:
    """Return the lines of requirements.txt that require something."""
    path = model / "requirements.txt"
    if path.is_symlink() or not path.is_file():
        return []
    lines = (line.split(" #", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]
