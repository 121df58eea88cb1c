"""Every derived name and label set of our kinds and their children. Pure.

If a name of a child is spelled anywhere else, that is a bug. Resource names are at most 50
characters (the CRDs say so), so every name made here fits a label and a DNS name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_api import contract

from trainyard_operator.engine.objects import MANAGED_BY
from trainyard_operator.engine.plan import Object

EXPERIMENTS = contract.EXPERIMENTS
RUNS = contract.RUNS
MODELS = contract.MODELS
MODEL_VERSIONS = contract.MODEL_VERSIONS
MODEL_DEPLOYMENTS = contract.DEPLOYMENTS

PROMOTER = contract.PROMOTER_MANAGER

COMPONENT = contract.COMPONENT_LABEL
RUN = contract.RUN_LABEL
RUN_UID = contract.RUN_UID_LABEL
ATTEMPT = contract.ATTEMPT_LABEL
MODEL = contract.MODEL_LABEL
MODEL_VERSION = contract.MODEL_VERSION_LABEL
DEPLOYMENT = contract.DEPLOYMENT_LABEL
DIGEST = f"{contract.GROUP}/digest"
# An annotation of a Model: status.retired, where a backup without status has it, too.
RETIRED = f"{contract.GROUP}/retired"

# Indexes (engine/cache.py) that more than one module asks by.
BY_MODEL = "spec.model"

RETIRE_FINALIZER = contract.RETIRE_FINALIZER
VERSIONS_FINALIZER = contract.VERSIONS_FINALIZER


@dataclass(frozen=True, slots=True)
class Log:
    """The address of a log: of what `main` of a pod prints, by attempt and completion index."""

    namespace: str
    run_id: str
    attempt: int
    index: int


_LABEL_LIMIT = 63


def run_id(resource: Object) -> str:
    """Return the MLflow run id of a Run: what its status says, or else its UID."""
    held = (resource.get("status") or {}).get("runID")
    return str(held or resource["metadata"]["uid"].replace("-", ""))


def run_job(run: str, attempt: int) -> str:
    """Return the name of an attempt's Job."""
    return f"{run}-a{attempt}"


def attempt_of(run: str, job: str) -> int:
    """Return which attempt of a Run a Job is, by its name, which nobody can change; 0 for none."""
    number = job.removeprefix(f"{run}-a")
    return int(number) if number.isdecimal() else 0


def token_secret(base: str, owner: Object, content: str) -> str:
    """Return the name of the Secret with a token: none that a user, or another owner, has.

    It tells the owner's UID from any other, and its content from a token that another key signed:
    what has this name never has to change.
    """
    uid = owner["metadata"]["uid"]
    return fit(f"{base}-{_short_hash(f'{uid} {content}')}")


def publish_job(version: str, attempt: int = 1) -> str:
    """Return the name of an attempt's Job to publish a ModelVersion."""
    return fit(f"{version}-publish" if attempt == 1 else f"{version}-publish-{attempt}")


def fit(name: str) -> str:
    """Return a name that a label can hold: one too long ends in a hash of all of it."""
    if len(name) <= _LABEL_LIMIT:
        return name
    return f"{name[: _LABEL_LIMIT - 9].rstrip('-')}-{_short_hash(name)}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def serving_child(deployment: str, digest: str) -> str:
    """Return the name of the apps/v1 Deployment that serves a digest."""
    return f"{deployment}-{short_digest(digest)}"


def disruption_budget(deployment: Object) -> str:
    """Return the name of a Deployment's PodDisruptionBudget, which no user's has."""
    meta = deployment["metadata"]
    return fit(f"{meta['name']}-{meta['uid'].replace('-', '')[:8]}")


def short_digest(digest: str) -> str:
    """Return the first eight hex digits of `sha256:…`."""
    return digest.removeprefix("sha256:")[:8]


def model_version(model: str, number: int) -> str:
    """Return the name of a model's version."""
    return f"{model}-{number}"


def run_labels(run: Object, attempt: int | None = None) -> dict[str, str]:
    """Return the labels of an attempt's Job and pod, or of what all attempts share."""
    meta = run["metadata"]
    labels = {
        **MANAGED_BY,
        COMPONENT: contract.COMPONENT_RUN,
        RUN: meta["name"],
        RUN_UID: meta["uid"],
    }
    return labels if attempt is None else {**labels, ATTEMPT: str(attempt)}


def component_labels(component: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a child of another component (publishing, serving)."""
    return {**MANAGED_BY, COMPONENT: component, **labels}
