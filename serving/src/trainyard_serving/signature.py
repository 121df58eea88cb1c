"""What the model says it takes and gives: the signature in its MLmodel file.

Reads MLflow's schema format (mlflow.org, "Model Signatures"); decides nothing about requests.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from trainyard_serving.batch import Label
from trainyard_serving.errors import LoadError
from trainyard_serving.kinds import ANYTHING, MLFLOW_KINDS, Kind, kind_of_dtype

_COMPLEX: Final = frozenset({"array", "object", "map"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a data frame.

    `name` is what requests call it; the model's frame has `key` where that is another: an
    integer, or the position of a column that has no name.
    """

    name: str
    kind: Kind
    required: bool = True
    key: int | None = None

    @property
    def label(self) -> Label:
        """Return what the model's data frame calls it."""
        return self.name if self.key is None else self.key


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
    """Columns or tensors in, names and kinds out. Empty inputs mean: nothing is known.

    `named` is false where columns go by position. `hinted` is true where the model's own type
    hints check its rows, which then are whatever JSON holds.
    """

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    outputs: tuple[Column | Tensor, ...] = ()
    params: tuple[Param, ...] = ()
    named: bool = True
    hinted: bool = False

    @property
    def row_wise(self) -> bool:
        """Say whether the inputs are rows, along their first dimension."""
        return all(t.shape and t.shape[0] == -1 for t in self.tensors)

    @property
    def joinable(self) -> bool:
        """Say whether rows of several requests can be one call, by what is declared.

        Without declared inputs the types of a request come from its own values, and a row must
        not get another type for a stranger's.
        """
        known = bool(self.columns or self.tensors) and not self.hinted
        return known and self.row_wise and all(map(_by_row, self.outputs))


def _by_row(output: Column | Tensor) -> bool:
    return isinstance(output, Column) or (bool(output.shape) and output.shape[0] == -1)


def signature_of(mlmodel: dict[str, Any]) -> Signature:
    """Parse the signature of a decoded MLmodel file; none gives an empty one.

    Raises:
        LoadError: It is there and can't be read.
    """
    raw = mlmodel.get("signature") or {}
    try:
        entries = json.loads(raw.get("inputs") or "[]")
        inputs = () if _says_nothing(entries) else _schema(entries)
        return Signature(
            columns=tuple(c for c in inputs if isinstance(c, Column)),
            tensors=tuple(t for t in inputs if isinstance(t, Tensor)),
            outputs=_schema(json.loads(raw.get("outputs") or "[]")),
            params=tuple(map(_param, json.loads(raw.get("params") or "[]"))),
            named=all(entry.get("name") is not None for entry in entries),
            hinted=bool(mlmodel.get("is_signature_from_type_hint")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise LoadError(f"The signature in MLmodel can't be read: {exc}") from exc


def _says_nothing(entries: list[dict[str, Any]]) -> bool:
    """Say whether it is what MLflow writes for a whole frame that it found no types for."""
    return len(entries) == 1 and entries[0]["type"] == "any" and entries[0].get("name") is None


def _schema(entries: list[dict[str, Any]]) -> tuple[Column | Tensor, ...]:
    return tuple(_entry(i, entry, alone=len(entries) == 1) for i, entry in enumerate(entries))


def _entry(index: int, entry: dict[str, Any], *, alone: bool) -> Column | Tensor:
    name = entry.get("name")
    if entry["type"] == "tensor":
        spec = entry["tensor-spec"]
        kind = kind_of_dtype(spec["dtype"])
        return Tensor(name or ("" if alone else str(index)), kind, tuple(spec["shape"]))
    # MLflow before 2.10 wrote what is optional, not what is required.
    required = entry.get("required", not entry.get("optional", False))
    kind = _kind(entry) if required else _kind(entry).optional()
    label: Label = index if name is None else name
    return Column(str(label), kind, required, label if isinstance(label, int) else None)


def _kind(entry: dict[str, Any]) -> Kind:
    """Arrays, objects and maps pass through as they are: the model's own code reads them."""
    if entry["type"] not in _COMPLEX:
        return MLFLOW_KINDS.get(entry["type"], ANYTHING)
    depth = 0
    while entry["type"] == "array":
        depth, entry = depth + 1, entry["items"]
    return replace(ANYTHING, name="array" if depth else entry["type"], depth=depth)


def _param(entry: dict[str, Any]) -> Param:
    kind = MLFLOW_KINDS.get(entry.get("type") or entry.get("dtype", ""), ANYTHING)
    return Param(entry["name"], kind, entry.get("default"), bool(entry.get("shape")))
