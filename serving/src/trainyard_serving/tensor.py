"""Tensors from decoded JSON, enforced by the signature's shapes and dtypes."""

from itertools import chain
from math import prod
from typing import Any

from trainyard_serving.batch import Array, Batch
from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import ANYTHING, guessed, typed
from trainyard_serving.signature import Signature, Tensor

MAX_DIMENSIONS = 32


def flattened(values: Any, *, field: str) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested arrays and their values in row-major order.

    Raises:
        BadInput: They are ragged, or nested deeper than an array can be.
    """
    if type(values) is not list:
        return (), [values]
    shape: tuple[int, ...] = (len(values),)
    while values and set(map(type, values)) == {list}:
        lengths = set(map(len, values))
        if len(lengths) > 1:
            raise _ragged(values, shape, field)
        shape = (*shape, lengths.pop())
        if len(shape) > MAX_DIMENSIONS:
            raise BadInput(f"is nested deeper than {MAX_DIMENSIONS} arrays", field=field)
        values = list(chain.from_iterable(values))
    if list in set(map(type, values)):
        raise _ragged(values, shape, field)
    return shape, values


def _ragged(values: list[Any], shape: tuple[int, ...], field: str) -> BadInput:
    def size(value: Any) -> int:
        return len(value) if type(value) is list else -1

    index = next(i for i, v in enumerate(values) if size(v) != size(values[0]))
    row = index // max(prod(shape[1:]), 1)
    return BadInput("the rows differ in length: all must have the same shape", field=field, row=row)


def tensor_of(values: Any, tensor: Tensor, *, field: str) -> Array:
    """Return nested arrays as one of the tensor's kind and shape."""
    shape, leaves = flattened(values, field=field)
    check_shape(shape, tensor, field=field)
    stride = max(prod(shape[1:]), 1)
    return typed(leaves, tensor.kind, field=field, stride=stride).reshape(shape)


def check_shape(shape: tuple[int, ...], tensor: Tensor, *, field: str) -> None:
    """Raise BadInput if `shape` is not one the signature allows."""
    wanted = tensor.shape
    fits = len(shape) == len(wanted) and all(
        w in {-1, s} for s, w in zip(shape, wanted, strict=True)
    )
    if wanted and not fits:
        raise BadInput(f"has shape {list(shape)}, the model needs {list(wanted)}", field=field)


def guessed_tensor(values: Any, *, field: str) -> Array:
    """Return nested arrays as the most fitting array, when no signature says which."""
    shape, leaves = flattened(values, field=field)
    kind = guessed(leaves)
    # Nothing but nulls is no mixture: numpy and pandas have it as objects.
    if kind is ANYTHING and any(leaf is not None for leaf in leaves):
        raise BadInput(
            "mixes types: send numbers of 64 bits, booleans or strings only", field=field
        )
    return typed(leaves, kind, field=field, stride=max(prod(shape[1:]), 1)).reshape(shape)


def batch_of(named: dict[str, Any], signature: Signature, *, field: str) -> Batch:
    """Return the batch of named tensors (the unnamed one is "").

    Raises:
        BadInput: One is missing, or does not fit the signature, or they differ in rows.
    """
    arrays = {}
    for tensor in signature.tensors or _free(named):
        label = tensor.name or field
        if tensor.name not in named and not tensor.name:
            raise BadInput("the model takes one tensor without a name: send an array", field=field)
        if tensor.name not in named:
            names = ", ".join(t.name for t in signature.tensors)
            raise BadInput(f"the tensor is missing; the model needs {names:.2000}", field=label)
        values = named[tensor.name]
        known = bool(signature.tensors)
        arrays[tensor.name] = (
            tensor_of(values, tensor, field=label) if known else guessed_tensor(values, field=label)
        )
    return of_arrays(arrays, row_wise=bool(signature.tensors) and signature.row_wise)


def _free(named: dict[str, Any]) -> list[Tensor]:
    return [Tensor(name, ANYTHING, ()) for name in named]


def of_items(items: list[Any]) -> Batch:
    """Return JSON values as the rows of a model that checks them by its own type hint."""
    if not items:
        raise BadInput("the input has no rows")
    return Batch({"": typed(items, ANYTHING, field="")}, len(items), tabular=False)


def of_arrays(arrays: dict[str, Array], *, row_wise: bool) -> Batch:
    """Return arrays as a batch, checking that they agree in rows where rows exist."""
    sizes = {name: array.shape[0] if array.shape else 1 for name, array in arrays.items()}
    if not sizes or 0 in sizes.values() or any(0 in a.shape for a in arrays.values()):
        raise BadInput("the input has no rows")
    first, rows = next(iter(sizes.items()))
    other = next((name for name, size in sizes.items() if size != rows), None)
    if row_wise and other is not None:
        raise BadInput(f"has {sizes[other]} rows where {first!r} has {rows}", field=other)
    return Batch(arrays, rows, tabular=False)
