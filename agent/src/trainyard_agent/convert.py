"""Reading what a model says about itself, and refusing the formats its Model does not allow.

It holds no token and parses YAML and text only: whatever a pickle in the folder would do when
loaded, it is not done here.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from trainyard_api.flavors import GENERIC, PYFUNC, formats, loader, refused

from trainyard_agent.errors import RefusedError, SourceError

FIELDS_FILE = "manifest-fields.json"
_LARGEST = {"MLmodel": 8 << 20, "requirements.txt": 1 << 20}
_MOST_FLAVORS = 2048
"""Bytes of the flavors as JSON: with all else that is told at the end they must fit into 4 KiB."""
_DEEPEST = 50
_MOST_VALUES = 200_000
"""A few lines of YAML can name themselves into millions of values."""


def convert(model: Path, *, out: Path, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """Write the manifest's fields that are not files, and return them.

    Args:
        model: Folder with the MLmodel file.
        out: Folder for `manifest-fields.json`.
        allowed: Flavors that the Model allows; none means all.

    Raises:
        SourceError: There is no MLmodel, or a file is not readable as what it is.
        RefusedError: A format is not allowed.
    """
    described = read_mlmodel(model)
    flavors = flavor_versions(described)
    refuse_formats(described, allowed=allowed)
    fields: dict[str, Any] = {"flavors": flavors, "requirements": requirements(model)}
    signature = read_signature(described)
    if signature:
        fields["signature"] = signature
    out.mkdir(parents=True, exist_ok=True)
    (out / FIELDS_FILE).write_text(json.dumps(fields, sort_keys=True))
    return fields


def read_mlmodel(model: Path) -> Mapping[str, Any]:
    """Read the MLmodel file of the folder."""
    text = _text(model / "MLmodel")
    if text is None:
        names = sorted(p.name for p in model.iterdir())[:10] if model.is_dir() else []
        raise SourceError(
            f"the source has no MLmodel file (it has: {', '.join(names) or 'nothing'}): log the"
            " model with mlflow.<flavor>.log_model and point source.artifactPath at its folder",
            reason="SourceMissing",
        )
    try:
        described = yaml.safe_load(text)
    # Besides its own errors: dates that are none, and nesting without end.
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise SourceError(f"the MLmodel file is no YAML that can be read: {_line(exc)}") from exc
    if not isinstance(described, dict) or not isinstance(described.get("flavors"), dict):
        raise SourceError("the MLmodel file lists no flavors: log the model again with MLflow")
    return described


def _text(path: Path) -> str | None:
    """Read a text file of the model; None if there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    most = _LARGEST[path.name]
    if path.stat().st_size > most:
        raise SourceError(f"the file {path.name} is larger than {most} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise SourceError(f"the file {path.name} is not UTF-8: {exc}; save it as UTF-8") from exc


def flavor_versions(described: Mapping[str, Any]) -> dict[str, str]:
    """Return each flavor with the version of its library, empty where it names none.

    Raises:
        SourceError: They are more than any model has.
    """
    found = {}
    for name, settings in described["flavors"].items():
        keys = ("python_version",) if name == GENERIC else (f"{name}_version", "version")
        known = settings if isinstance(settings, dict) else {}
        found[str(name)] = next((str(known[k]) for k in keys if known.get(k)), "")
    if len(json.dumps(found)) > _MOST_FLAVORS:
        raise SourceError(
            f"the MLmodel file lists {len(found)} flavors, in more than {_MOST_FLAVORS} bytes with"
            " their versions: log the model again with MLflow"
        )
    return found


def refuse_formats(described: Mapping[str, Any], *, allowed: Sequence[str]) -> None:
    """Raise RefusedError unless every format that loading can come to is allowed."""
    found = refused(described, allowed)
    if not found:
        return
    native = formats(described) - {PYFUNC}
    why = ""
    if PYFUNC in found and native:
        why = (
            f" ({PYFUNC}, since loading it runs code that came with it:"
            f" loader_module {loader(described) or 'none'})"
        )
    raise RefusedError(
        f"the model is in the format {', '.join(found)}{why}, its Model allows"
        f" {', '.join(sorted(allowed))}: log it in one of these, or add the format to"
        " spec.allowedFormats of the Model and register it again"
    )


def read_signature(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the signature with its parts as JSON values; empty if there is none.

    Raises:
        SourceError: It is no mapping, or a part is no JSON.
    """
    signature = described.get("signature") or {}
    if not isinstance(signature, Mapping):
        raise SourceError("the MLmodel file's signature is no mapping: log the model again")
    parts = {k: v for k, v in signature.items() if k in {"inputs", "outputs", "params"} and v}
    count = iter(range(_MOST_VALUES))
    return {name: _json(_decoded(part), f"signature.{name}", count) for name, part in parts.items()}


def _decoded(part: Any) -> Any:
    try:
        return json.loads(part) if isinstance(part, str) else part
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"the MLmodel file's signature is no JSON: {_line(exc)}") from exc


def _json(value: Any, where: str, count: Iterator[int], depth: int = 0) -> Any:
    """Write what YAML can hold as JSON can; dates as text."""
    if next(count, None) is None or depth > _DEEPEST:
        raise SourceError(f"the MLmodel file's {where} is nested too deep, or too large")
    if isinstance(value, Mapping):
        return {str(k): _json(v, where, count, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_json(one, where, count, depth + 1) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise SourceError(f"the MLmodel file's {where} holds {value}, which JSON has no word for")
    if value is None or isinstance(value, str | int | float):
        return value
    raise SourceError(f"the MLmodel file's {where} holds a {type(value).__name__}, no JSON value")


def requirements(model: Path) -> list[str]:
    """Return the lines of requirements.txt that require something.

    Raises:
        SourceError: It is not UTF-8, or too large.
    """
    lines = (
        line.split(" #", 1)[0].strip()
        for line in (_text(model / "requirements.txt") or "").splitlines()
    )
    return [line for line in lines if line and not line.startswith("#")]


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:500] or type(exc).__name__
