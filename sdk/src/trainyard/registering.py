"""Make the next version of a Model from what a finished Run, or any MLflow run, logged."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from trainyard_api.logged_models import candidates
from trainyard_api.meta import ObjectMeta
from trainyard_api.model import Model, ModelSpec
from trainyard_api.model_version import ModelVersion
from trainyard_api.names import next_version
from trainyard_api.run import Run

from trainyard._kube import Object
from trainyard.client import Client
from trainyard.errors import Conflict, InvalidInput, NotFound
from trainyard.kinds import validated
from trainyard.session import client_or_default

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_TRIES = 10


def register(
    run: Run | str, model: str, *, artifact: str = "", client: Client | None = None
) -> ModelVersion:
    """Register a model that *run* logged as the next version of *model*; return the version.

    A Model that does not exist is made, without gates.

    Args:
        run: a finished Run, or the id of any MLflow run of the namespace.
        artifact: which of the models that it logged; may be left out where that is plain.

    Raises:
        NotFound: there is no such run.
        InvalidInput: the Run goes on, or it is not plain which model is meant.

    Example:
        >>> ty.register("search", "digits", artifact="model")  # doctest: +SKIP
    """
    client = client_or_default(client)
    if isinstance(run, Run):
        client, run = client.in_namespace(run.metadata.namespace), run.metadata.name
    source = _source(client, run, artifact)
    retired = _ensure_model(client, model)
    for _ in range(_TRIES):
        number = _next_number(client, model, retired)
        try:
            return client.create(_version(client, model, number, source))
        except Conflict:
            retired = number
    raise Conflict(f"Others keep taking the next version of {model}", fix="Try again", status=409)


def logged_model(models: Sequence[Mapping[str, Any]], run: str, given: str = "") -> str:
    """Choose the artifact path to register: *given*, or the plain one.

    Raises:
        InvalidInput: there is none, or several; the message lists them.
    """
    if given:
        return given
    paths = candidates(models)
    if len(paths) == 1:
        return paths[0]
    if not paths:
        raise InvalidInput(
            f"Run {run} logged no model",
            fix="Log one, with mlflow.autolog() or mlflow.sklearn.log_model(), and run it again",
        )
    raise InvalidInput(
        f"Run {run} logged {len(paths)} models: {', '.join(paths)}",
        fix=f"Choose one with --artifact {paths[-1]}",
    )


def _source(client: Client, run: str, artifact: str) -> Object:
    if _RUN_ID.fullmatch(run):
        path = logged_model(_models(client, run), run, artifact)
        return {"mlflowRun": {"id": run, "artifactPath": path}}
    found = client.get(Run, run)
    if found.status.completion_time is None or not found.status.run_id:
        raise InvalidInput(
            f"Run {run} has not finished: {found.status.phase or 'Pending'}",
            fix=f"Wait for it: trainyard logs -f {run}{client.command_options()}",
        )
    path = logged_model(_models(client, found.status.run_id), run, artifact)
    return {"run": {"name": run, "artifactPath": path}}


def _models(client: Client, run_id: str) -> Sequence[Mapping[str, Any]]:
    answer = client.tracking.summary(client.namespace, run_id)
    return answer.get("models") or []


def _ensure_model(client: Client, name: str) -> int:
    """Make the Model unless it is there; return the highest number that is gone for good."""
    try:
        return client.get(Model, name).status.retired
    except NotFound:
        # Somebody may be faster: it is there then, and that was the wish.
        with suppress(Conflict):
            client.create(Model(metadata=ObjectMeta(name=name), spec=ModelSpec()))
        return 0


def _next_number(client: Client, model: str, retired: int) -> int:
    there = (v.spec.version for v in client.list(ModelVersion) if v.spec.model == model)
    return next_version(there, retired)


def _version(client: Client, model: str, number: int, source: Object) -> ModelVersion:
    body = {
        "kind": "ModelVersion",
        "metadata": {"name": f"{model}-{number}", "namespace": client.namespace},
        "spec": {"model": model, "version": number, "source": source},
    }
    return validated(ModelVersion, body, what="The version is not possible")
