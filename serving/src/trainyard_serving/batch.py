"""Rows of typed arrays: what a request becomes, and what a model is called with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Label = str | int
"""What a column is called; integers are names of their own, as in pandas."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Named arrays that share their first dimension, `rows`.

    `tabular` arrays are the columns of a data frame (one dimension each) by their labels;
    otherwise they are tensors, and a single one without a name has the name "".
    """

    arrays: dict[Any, Array]
    rows: int
    tabular: bool = True
    params: dict[str, Any] = field(default_factory=dict)

    def layout(self) -> tuple[Any, ...]:
        """Return what must be equal for two batches to be joined."""
        return (
            self.tabular,
            tuple((name, a.dtype, a.shape[1:]) for name, a in self.arrays.items()),
            tuple(sorted((k, repr(v)) for k, v in self.params.items())),
        )

    def part(self, start: int, stop: int) -> "Batch":
        """Return the rows from `start` up to `stop`."""
        arrays = {name: array[start:stop] for name, array in self.arrays.items()}
        return Batch(arrays, stop - start, self.tabular, self.params)


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the rows of all, in order; the layouts must be equal."""
    first = batches[0]
    if len(batches) == 1:
        return first
    arrays = {name: np.concatenate([b.arrays[name] for b in batches]) for name in first.arrays}
    return Batch(arrays, sum(b.rows for b in batches), first.tabular, first.params)
