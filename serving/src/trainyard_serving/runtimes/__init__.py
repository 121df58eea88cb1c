"""One module for each way to load a model; imported only when a model needs it."""

import importlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Protocol, cast

import yaml
from trainyard_api.flavors import GENERIC, loader, refused

from trainyard_serving.dataplane import Model
from trainyard_serving.errors import LoadError, told
from trainyard_serving.signature import Signature, signature_of

_BY_FLAVOR: Final = {"sklearn": "sklearn", GENERIC: "pyfunc"}
"""Flavors in order of preference, and the module that loads them."""


class Runtime(Protocol):
    """What a module of this package offers."""

    def load(self, folder: Path, mlmodel: dict[str, Any], signature: Signature) -> Model: ...


def read_mlmodel(folder: Path) -> dict[str, Any]:
    """Return the decoded MLmodel file of a model's folder.

    Raises:
        LoadError: It is not there, or is not an MLmodel file.
    """
    try:
        document = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoadError(f"{folder} holds no MLmodel file: is it a folder made by MLflow?") from None
    except Exception as exc:  # YAML makes dates, numbers and recursion of what anybody wrote
        raise LoadError(f"The MLmodel file can't be read: {told(exc)}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("flavors"), dict):
        raise LoadError("The MLmodel file names no flavors")
    return document


def chosen(mlmodel: dict[str, Any]) -> str:
    """Return the name of the runtime for a model.

    Raises:
        LoadError: None of its flavors is one that this server loads.
    """
    flavors = mlmodel["flavors"]
    # A scikit-learn model wrapped in somebody's own code is loaded by that code.
    own = loader(mlmodel) in {"", "mlflow.sklearn"}
    for flavor, runtime in _BY_FLAVOR.items():
        if flavor in flavors and (flavor != "sklearn" or own):
            return runtime
    has = ", ".join(map(str, flavors))
    raise LoadError(f"The model has the flavors {has}; this server loads {', '.join(_BY_FLAVOR)}")


def load(folder: Path, *, allowed: Collection[str] = ()) -> tuple[Model, Signature, str]:
    """Load the model in a folder; return it, its signature and the runtime's name.

    Args:
        allowed: Formats of which a model may be, as `Model.spec.allowedFormats`; none is any.

    Raises:
        LoadError: It can't be loaded, or is of another format; says why in one line.
    """
    mlmodel = read_mlmodel(folder)
    try:
        _refuse_other(mlmodel, allowed)
        signature, name = signature_of(mlmodel), chosen(mlmodel)
    except LoadError:
        raise
    except Exception as exc:  # lists where mappings belong, and such things
        raise LoadError(f"The MLmodel file can't be read: {told(exc)}") from exc
    try:
        runtime = cast("Runtime", importlib.import_module(f"{__name__}.{name}"))
        return runtime.load(folder, mlmodel, signature), signature, name
    except LoadError:
        raise
    except ModuleNotFoundError as exc:
        raise LoadError(
            f"The model needs the package {exc.name!r}, which this server's image does not have: "
            "use a serving runtime with it"
        ) from exc
    except Exception as exc:
        lines = str(exc).strip().splitlines() or [""]
        raise LoadError(f"The model can't be loaded: {type(exc).__name__}: {lines[0]}") from exc


def _refuse_other(mlmodel: dict[str, Any], allowed: Collection[str]) -> None:
    other = refused(mlmodel, allowed)
    if other:
        raise LoadError(
            f"The model is of the format {', '.join(other)}, this server may load"
            f" {', '.join(sorted(allowed))} only: nothing of it was loaded"
        )


def example_request(folder: Path) -> bytes | None:
    """Return the model's input example as an /invocations body, if it was saved with one."""
    path = folder / "serving_input_example.json"
    try:
        body = path.read_bytes()
        json.loads(body)
    except (OSError, ValueError, RecursionError):
        return None
    return body
