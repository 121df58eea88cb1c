"""What an answer must look like to be cut into the rows of several requests, or to be one's own.

Pure, and duck-typed like `outputs.py`: pandas and SciPy are only imported by models that use them.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from trainyard_serving.errors import ModelFailed


def cut(result: Any, rows: Sequence[int]) -> list[Any] | None:
    """Return each request's part of a joint answer, or None unless its rows are proven to be rows.

    Arrays, data frames and mappings of these have rows. A list or a tuple never has: as many
    outputs as rows, or as many messages, would look the same.

    Args:
        rows: How many rows each request has, in the order in which they were joined.
    """
    if not _has_rows(result, sum(rows)):
        return None
    stops = accumulate(rows)
    return [_part(result, stop - count, stop) for count, stop in zip(rows, stops, strict=True)]


def _has_rows(result: Any, rows: int) -> bool:
    if isinstance(result, dict):
        return bool(result) and all(_has_rows(value, rows) for value in result.values())
    shape = getattr(result, "shape", None)
    return isinstance(shape, tuple) and shape[:1] == (rows,)


def _part(result: Any, start: int, stop: int) -> Any:
    if isinstance(result, dict):
        return {key: _part(value, start, stop) for key, value in result.items()}
    rows = result.iloc if hasattr(result, "iloc") else result
    return rows[start:stop]


def refuse_other_count(result: Any, rows: int) -> None:
    """Raise unless a model that answers by rows answered as many as it was asked.

    A list is one answer for each row, or several outputs that have one each.

    Raises:
        ModelFailed: With both numbers.
    """
    listed = isinstance(result, list | tuple)
    if _has_rows(result, rows) or (
        listed and (len(result) == rows or all(_has_rows(each, rows) for each in result))
    ):
        return
    shape = getattr(result, "shape", None) or ((len(result),) if listed else ())
    count = f"{shape[0]} answers" if shape else "one answer"
    raise ModelFailed(
        f"the model gave {count} for {rows} rows: it can't be served as it was saved; does its"
        " first step read something else than a data frame of the signature's columns?"
    )
