"""What the model says it takes and gives: the signature in its MLmodel file.

Reads MLflow's schema format (mlflow.org, "Model Signatures"); decides nothing about requests.
"""

import json
from dataclasses import dataclass
from typing import Any

from trainyard_serving.errors import LoadError
from trainyard_serving.kinds import ANYTHING, MLFLOW_KINDS, Kind, kind_of_dtype


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a data frame."""

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor; -1 in the shape is any size. The only unnamed one has the name ""."""

    name: str
    kind: Kind
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """One inference parameter; `listed` when it takes an array of its kind."""

    name: str
    kind: Kind
    default: Any
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """Columns or tensors in, names and kinds out. Empty inputs mean: nothing is known."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    outputs: tuple[Column | Tensor, ...] = ()
    params: tuple[Param, ...] = ()

    @property
    def row_wise(self) -> bool:
        """Say whether requests can be joined along their first dimension."""
        return all(t.shape and t.shape[0] == -1 for t in self.tensors)


def signature_of(mlmodel: dict[str, Any]) -> Signature:
    """Parse the signature of a decoded MLmodel file; none gives an empty one.

    Raises:
        LoadError: It is there and can't be read.
    """
    raw = mlmodel.get("signature") or {}
    try:
        inputs = _schema(raw.get("inputs"))
        return Signature(
            columns=tuple(c for c in inputs if isinstance(c, Column)),
            tensors=tuple(t for t in inputs if isinstance(t, Tensor)),
            outputs=_schema(raw.get("outputs")),
            params=tuple(map(_param, json.loads(raw.get("params") or "[]"))),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise LoadError(f"The signature in MLmodel can't be read: {exc}") from exc


def _schema(text: str | None) -> tuple[Column | Tensor, ...]:
    entries = json.loads(text or "[]")
    return tuple(_entry(i, entry, alone=len(entries) == 1) for i, entry in enumerate(entries))


def _entry(index: int, entry: dict[str, Any], *, alone: bool) -> Column | Tensor:
    name = entry.get("name")
    if entry["type"] == "tensor":
        spec = entry["tensor-spec"]
        kind = kind_of_dtype(spec["dtype"])
        return Tensor(name or ("" if alone else str(index)), kind, tuple(spec["shape"]))
    # Arrays, objects and maps pass through as they are: the model's own code reads them.
    kind = MLFLOW_KINDS.get(entry["type"], ANYTHING)
    return Column(str(index) if name is None else str(name), kind, entry.get("required", True))


def _param(entry: dict[str, Any]) -> Param:
    kind = MLFLOW_KINDS.get(entry.get("type") or entry.get("dtype", ""), ANYTHING)
    return Param(entry["name"], kind, entry.get("default"), bool(entry.get("shape")))


def nameless(signature: Signature) -> bool:
    """Say whether values come by position only: one column or tensor without a name."""
    return [t.name for t in signature.tensors] == [""]
