"""How names of MLflow and names of resources map to each other. Pure.

Names of children (Jobs, Secrets and so on) are not made here: they are the operator's.
"""

import hashlib
import re
from collections.abc import Iterable

from trainyard_api.contract import MAX_NAME, NAME_PATTERN

_NAME = re.compile(NAME_PATTERN)
_HASH = 8


def is_resource_name(name: str) -> bool:
    """Tell whether a name is legal for an Experiment, Run, Model or Deployment."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def resource_name(mlflow_name: str) -> str:
    """Return the name of the resource that stands for a name in MLflow.

    A legal name is itself. Any other becomes a legible slug and a hash of the whole, so that
    two names never meet: `Iris (v2)` is `iris-v2-` and eight hexadecimal digits.
    """
    if is_resource_name(mlflow_name):
        return mlflow_name
    digest = hashlib.sha256(mlflow_name.encode()).hexdigest()[:_HASH]
    slug = re.sub(r"[^a-z0-9]+", "-", mlflow_name.lower()).strip("-")
    slug = re.sub(r"^[^a-z]+", "", slug) or "m"
    return f"{slug[: MAX_NAME - _HASH - 1].rstrip('-')}-{digest}"


def other_name(mlflow_name: str, taken: str) -> str:
    """Return another name for the resource of a name in MLflow.

    A Model that is renamed in MLflow keeps the name of its resource, and whoever takes the old
    title needs another one: the same each time, so that of two who ask at once one is refused.

    Args:
        mlflow_name: The name in MLflow.
        taken: The name of a resource that has another name in MLflow by now.
    """
    digest = hashlib.sha256(f"{taken}/{mlflow_name}".encode()).hexdigest()[:_HASH]
    return f"{resource_name(mlflow_name)[: MAX_NAME - _HASH - 1].rstrip('-')}-{digest}"


def mlflow_name(metadata_name: str, spec_name: str | None) -> str:
    """Return the name in MLflow of a Model: its spec.name, or else its own."""
    return spec_name or metadata_name


def model_version_name(model: str, version: int) -> str:
    """Return the name of a ModelVersion, by the name of its Model's resource."""
    return f"{model}-{version}"


def next_version(existing: Iterable[int], retired: int) -> int:
    """Return one more than every number that exists or ever existed.

    Args:
        existing: Numbers of the versions of the Model, those being deleted included.
        retired: The highest number whose version was deleted, in the Model's status; 0 if none.
    """
    return max(0, retired, *existing) + 1
