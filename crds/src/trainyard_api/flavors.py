"""What an MLmodel file lets a server run: the formats that publishing asks about and serving loads.

Pure and standard library only: a decoded MLmodel goes in, names of formats come out. Whoever wrote
the file is not to be trusted, so a flavor counts for itself only where its own loader loads it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

GENERIC: Final = "python_function"
PYFUNC: Final = "pyfunc"
"""The format of what is loaded by somebody's own code; `python_function` means the same."""

# Each names Python code in the model's folder, which MLflow imports before it loads anything.
_CODE_KEYS: Final = ("code", "model_code_path")


def formats(mlmodel: Mapping[str, Any]) -> frozenset[str]:
    """Return every format that loading the model can come to: all of them must be allowed.

    A native flavor is its own format. `pyfunc` is added where code of the author's choice is
    imported: the loader of python_function is not `mlflow.<flavor>` of a flavor in the file, a
    flavor names code in the folder, or there is no native flavor at all.

    Args:
        mlmodel: A decoded MLmodel file; whatever its parts are, nothing is raised.
    """
    flavors = _flavors(mlmodel)
    native = frozenset(name for name in flavors if name not in {GENERIC, PYFUNC})
    own = native and _own_loader(flavors) and not any(map(_brings_code, flavors.values()))
    return native if own and PYFUNC not in flavors else native | {PYFUNC}


def refused(mlmodel: Mapping[str, Any], allowed: Iterable[str]) -> tuple[str, ...]:
    """Return the model's formats that are not among the allowed, sorted; none allowed is all."""
    permitted = {PYFUNC if name == GENERIC else name for name in allowed}
    return tuple(sorted(formats(mlmodel) - permitted)) if permitted else ()


def loader(mlmodel: Mapping[str, Any]) -> str:
    """Return the module that loads the model as a Python function; empty if none is named."""
    return str(settings(mlmodel, GENERIC).get("loader_module") or "")


def settings(mlmodel: Mapping[str, Any], flavor: str) -> Mapping[str, Any]:
    """Return what the file says of a flavor; nothing where that is no mapping."""
    found = _flavors(mlmodel).get(flavor)
    return found if isinstance(found, Mapping) else {}


def _flavors(mlmodel: Mapping[str, Any]) -> dict[str, Any]:
    found = mlmodel.get("flavors")
    return {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {}


def _own_loader(flavors: Mapping[str, Any]) -> bool:
    """Say whether the Python function is one of the native flavors; without a loader it is none."""
    generic = flavors.get(GENERIC)
    named = generic.get("loader_module") if isinstance(generic, Mapping) else None
    return not named or named in [f"mlflow.{name}" for name in flavors if name != GENERIC]


def _brings_code(flavor: Any) -> bool:
    return isinstance(flavor, Mapping) and any(flavor.get(key) for key in _CODE_KEYS)
