"""What a row about a rule of the API is: an object that passes, and one that is refused.

Rows change an ordinary object; the rows themselves are in rows_run.py and rows_registry.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builders import given
from kube_api import clean

Object = dict[str, Any]
HEX = "0123456789abcdef" * 4


@dataclass(frozen=True)
class Row:
    """A rule: a spec that passes, and one that is refused with certain words at a field."""

    id: str
    passes: Object
    refused: Object
    says: str
    field: str = "spec"
    kind: str = "Run"


@dataclass(frozen=True)
class Change:
    """A rule on updates: a spec, a change that passes, and one that is refused."""

    id: str
    before: Object
    passes: Object
    refused: Object
    says: str
    field: str = "spec"
    kind: str = "Run"


BUILDERS: dict[str, Callable[..., Object]] = {
    "Experiment": given.experiment,
    "Run": given.run,
    "Model": given.model,
    "ModelVersion": given.model_version,
    "Deployment": given.model_deployment,
}


def body(kind: str, spec: Object) -> Object:
    """Return an ordinary object of a kind with some of its spec changed; None takes away."""
    ordinary = clean(BUILDERS[kind]())
    merged = ordinary["spec"] | spec
    return ordinary | {"spec": {k: v for k, v in merged.items() if v is not None}}
