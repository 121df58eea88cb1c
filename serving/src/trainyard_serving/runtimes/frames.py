"""Data frames for models, whose columns have the types that the signature says."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from trainyard_serving.batch import Array, Batch, Label
from trainyard_serving.kinds import BOOLEAN, INTEGER, STRING, Kind
from trainyard_serving.signature import Signature


def kinds_of(signature: Signature) -> dict[Label, Kind]:
    """Return the kinds of a signature's columns by their labels."""
    return {column.label: column.kind for column in signature.columns}


def frame(batch: Batch, kinds: Mapping[Label, Kind]) -> Any:
    """Return a batch of columns as a pandas DataFrame.

    pandas would look at the values and give a column of text another type when all its rows
    are missing: a row's prediction would change with the rows beside it. So types are set.
    Columns that are not in `kinds` are as pandas finds them.
    """
    from pandas import DataFrame  # noqa: PLC0415  # slow to import, and arrays need it not

    columns = {label: _column(a, kinds.get(label)) for label, a in batch.arrays.items()}
    return DataFrame(columns)


def in_order(table: Any, names: Sequence[str]) -> Any:
    """Return a data frame with its columns as they stood in training, if they are the same.

    LightGBM takes them by position, whatever a request calls them.
    """
    if not names:
        return table
    found = {_underlined(label): label for label in table.columns}
    known = [_underlined(name) for name in names]
    if list(found) == known or len(found) < table.shape[1] or found.keys() != set(known):
        return table
    return table[[found[name] for name in known]]


def _underlined(label: Label) -> str:
    """Return a column's name as LightGBM keeps it."""
    return str(label).replace(" ", "_")


def _column(array: Array, kind: Kind | None) -> Any:
    if kind is None or array.dtype != object:
        return array
    import pandas as pd  # noqa: PLC0415  # as above

    if kind.family == INTEGER:
        sign = "U" if kind.dtype.kind == "u" else ""
        return pd.array(array, dtype=f"{sign}Int{kind.dtype.itemsize * 8}")
    if kind.family == BOOLEAN:
        return pd.array(array, dtype="boolean")
    return pd.Series(array, dtype=_text_type() if kind.family == STRING else object)


@cache
def _text_type() -> Any:
    """Return what pandas makes of texts: a type of their own, or objects before its release 3."""
    import pandas as pd  # noqa: PLC0415  # as above

    return pd.Series(["text"]).dtype
