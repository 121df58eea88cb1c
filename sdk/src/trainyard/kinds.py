"""The five kinds under all the names that people call them by."""

import difflib
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from trainyard_api.contract import GROUP, VERSION
from trainyard_api.deployment import Deployment
from trainyard_api.experiment import Experiment
from trainyard_api.meta import ApiModel, Resource
from trainyard_api.model import Model
from trainyard_api.model_version import ModelVersion
from trainyard_api.run import Run

from trainyard.errors import InvalidInput

R = TypeVar("R", bound=Resource)
M = TypeVar("M", bound=ApiModel)

KINDS: tuple[type[Resource], ...] = (Experiment, Run, Model, ModelVersion, Deployment)
_EXTRA_NAMES: dict[str, type[Resource]] = {
    "version": ModelVersion,
    "versions": ModelVersion,
    "deployment": Deployment,
    "deployments": Deployment,
}


def names_of(kind: type[Resource]) -> tuple[str, ...]:
    """List the names that `kind_called` knows for *kind*, the plural first."""
    definition = kind.definition
    extra = (name for name, named in _EXTRA_NAMES.items() if named is kind)
    own = (definition.plural, definition.singular, definition.short, kind_name(kind).lower())
    return tuple(dict.fromkeys((*own, *extra)))


def kind_called(name: str) -> type[Resource]:
    """Find a kind by plural, singular, short name or kind, in any case.

    Raises:
        InvalidInput: no kind has this name; the message has the nearest one.
    """
    known = {alias: kind for kind in KINDS for alias in names_of(kind)}
    kind = known.get(name.lower())
    if kind is not None:
        return kind
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(
        f"There is no kind {name!r}",
        fix=f"{hint}The kinds are {', '.join(names_of(kind)[0] for kind in KINDS)}",
    )


def kind_name(kind: type[Resource]) -> str:
    """Return the kind as resources spell it: `ModelVersion`."""
    return str(kind.model_fields["kind"].default)


def collection_path(kind: type[Resource], namespace: str | None) -> str:
    """Return the API path of all resources of *kind*; over all namespaces with None."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{where}/{kind.definition.plural}"


def resource_path(kind: type[Resource], namespace: str, name: str) -> str:
    """Return the API path of one resource, which a name can't lead away from.

    Raises:
        InvalidInput: *name* is empty, or one that a path goes up by.
    """
    if name in {"", ".", ".."}:
        raise InvalidInput(f"{name!r} is no name of a {kind_name(kind)}", fix="Name one")
    return f"{collection_path(kind, namespace)}/{quote(name, safe='')}"


def parse(kind: type[R], body: dict[str, Any]) -> R:
    """Read a JSON object as *kind*. Items of a list come without kind and version."""
    return kind.model_validate({**body, "kind": kind_name(kind)})


def validated(model: type[M], body: dict[str, Any], *, what: str) -> M:
    """Read what a user gave as *model*.

    Raises:
        InvalidInput: *what*, and which fields are wrong.
    """
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        told = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {_said(error)}"
            for error in exc.errors()
        )
        raise InvalidInput(f"{what}: {told}", fix="Mend the field") from exc


def _said(error: ErrorDetails) -> str:
    number = error["input"]
    if error["type"] == "string_type" and isinstance(number, float):
        return f'this is text: write it as "{number}"'
    return error["msg"]
