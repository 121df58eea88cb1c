"""Whether a fitted estimator is scikit-learn's own work through and through.

Only then is it known that a row's prediction does not depend on the rows beside it. A user's
transformer may rank, centre or group the rows that it gets, at any depth of a pipeline.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

import numpy as np

LEAVES: Final = (
    *(str, bytes, int, float, complex, type(None), slice, range),
    *(np.generic, np.dtype, np.ufunc, np.random.RandomState, np.random.Generator),
)
# scikit-learn's own, and yet: these scale by the mean of all rows, draw a number for each, or
# give one row another shape than several.
_LOOK_AT_ALL: Final = frozenset(
    {"NMF", "MiniBatchNMF", "BernoulliRBM", "SparsePCA", "MiniBatchSparsePCA"}
)
NEAREST: Final = frozenset(
    {"KNNImputer", "LocalOutlierFactor", "NearestCentroid", "NearestNeighbors"}
    | {"AffinityPropagation", "Birch", "MeanShift"}
    | {f"KNeighbors{what}" for what in ("Classifier", "Regressor", "Transformer")}
    | {f"RadiusNeighbors{what}" for what in ("Classifier", "Regressor", "Transformer")}
)
"""Row by row, but never to be joined: distances are rounded by the shape of what comes together,
and where neighbours are equally far, a rounding chooses another one and so another answer."""
_DRAWS: Final = frozenset({"stratified", "uniform"})


def classes_of(estimator: Any) -> frozenset[str] | None:
    """Return the names of all classes in a fitted estimator; None if any is not scikit-learn's."""
    parts = parts_of(estimator)
    return None if parts is None else frozenset(type(part).__name__ for part in parts)


def parts_of(estimator: Any) -> list[Any] | None:
    """Return all that a fitted estimator consists of, once each; None as `classes_of`.

    Classes of scikit-learn that look at all rows are none that we want either. Follows
    attributes, lists and mappings, so that what a search or a stack was fitted with is seen.
    """
    seen: set[int] = set()
    parts: list[Any] = []
    rest: list[Any] = [estimator]
    while rest:
        part = rest.pop()
        if isinstance(part, LEAVES) or id(part) in seen:
            continue
        seen.add(id(part))
        inside = _inside(part)
        if inside is None:
            return None
        parts.append(part)
        rest.extend(each for each in inside if not isinstance(each, LEAVES))
    return parts


def _inside(part: Any) -> Iterable[Any] | None:
    """Return what a part consists of; None if it may do anything."""
    held = held_by(part)
    if held is not None:
        return held
    if isinstance(part, type | FunctionType | BuiltinFunctionType):
        known = {"sklearn", "numpy", "builtins"} if isinstance(part, type) else {"sklearn"}
        return () if _library(part) in known else None
    return _of_object(part)


def held_by(part: Any) -> Iterable[Any] | None:
    """Return what a container holds, a mapping its keys too; None if it is no container."""
    if isinstance(part, np.ndarray):
        return part.ravel().tolist() if part.dtype == object else ()
    if isinstance(part, Mapping):
        return chain(part.keys(), part.values())
    return part if isinstance(part, list | tuple | set | frozenset) else None


def _of_object(part: Any) -> Iterable[Any] | None:
    library = _library(type(part))
    if library in {"scipy", "pandas"}:
        return ()
    if library != "sklearn" or not _by_row(part):
        return None
    return vars(part).values() if hasattr(part, "__dict__") else ()


def _library(of: Any) -> str:
    return str(getattr(of, "__module__", None) or "").partition(".")[0]


def _by_row(part: Any) -> bool:
    name = type(part).__name__
    if name == "FunctionTransformer":
        # numpy's universal functions go element by element; any other may look around.
        functions = (part.func, part.inverse_func)
        return all(f is None or isinstance(f, np.ufunc) for f in functions)
    if name == "DummyClassifier":  # also in every gradient boosting, where it draws nothing
        return part.strategy not in _DRAWS
    if name == "IterativeImputer":
        return not part.sample_posterior
    return name not in _LOOK_AT_ALL
