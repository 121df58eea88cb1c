"""Serve a model and ask it: a Deployment from one word, and predictions through the API server."""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from trainyard_api.deployment import Deployment, DeploymentSpec, ServedModel
from trainyard_api.meta import ObjectMeta
from trainyard_api.model import Model

from trainyard._kube import Object
from trainyard._tracking import proxy_path
from trainyard.client import Client
from trainyard.errors import ApiError, Conflict, InvalidInput, NotFound, Rejected
from trainyard.kinds import validated
from trainyard.session import client_or_default
from trainyard.settling import judge

_WORD = re.compile(r"(?:models:/)?(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")
_PORT = 80
_NO_SERVER = 503


def serve(
    model: str,
    *,
    name: str = "",
    replicas: int | None = None,
    wait: bool = True,
    timeout: float = 300,
    seen: Callable[[Deployment], None] | None = None,
    client: Client | None = None,
) -> Deployment:
    """Serve a model: make a Deployment, or point the one of the name to it.

    Args:
        model: MODEL@STAGE, which it follows, or MODEL/VERSION.
        name: of the Deployment; default: the Model's.
        replicas: how many pods; default: 1, or as it is.
        wait: until it serves, at most *timeout* seconds.
        seen: called with each state on the way.

    Raises:
        InvalidInput: *model* names no version.
        NotFound: there is no such Model.
        Rejected: it does not serve, and why.
        TimedOut: nor has it failed within *timeout*.

    Example:
        >>> ty.serve("digits@production").status.endpoint  # doctest: +SKIP
    """
    target = served_model(model)
    client = client_or_default(client)
    made = _applied(client, name or target.name, target, replicas)
    return until_it_serves(client, made, timeout=timeout, seen=seen) if wait else made


def until_it_serves(
    client: Client,
    deployment: Deployment,
    *,
    timeout: float = 300,
    seen: Callable[[Deployment], None] | None = None,
) -> Deployment:
    """Wait until *deployment* serves what it is to serve.

    Raises:
        Rejected: it does not, and why.
        TimedOut: neither within *timeout* seconds.
    """
    name = deployment.metadata.name
    done = client.wait(deployment, timeout=timeout, seen=seen)
    verdict = judge(done)
    if not verdict.good:
        raise Rejected(
            f"Deployment {name} does not serve: {verdict.reason}: {verdict.message.rstrip('.')}",
            fix=f"More: trainyard describe deployment {name}{client.command_options()}",
        )
    return done


def served_model(text: str) -> ServedModel:
    """Read MODEL@STAGE or MODEL/VERSION, with or without `models:/`.

    Raises:
        InvalidInput: *text* is neither.
    """
    found = _WORD.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text!r} does not say which version of the model to serve",
            fix="Write MODEL@STAGE, such as digits@production, or MODEL/VERSION, such as digits/3",
        )
    given = {key: value for key, value in found.groupdict().items() if value}
    return validated(ServedModel, given, what=repr(text))


def predict(deployment: str, data: Any, *, client: Client | None = None) -> Any:
    """Ask a Deployment, and return its answer as decoded JSON.

    Args:
        data: rows (a list, an array), a pandas DataFrame, or the whole body of a request, of
            MLflow's kind or the Open Inference Protocol's.

    Raises:
        NotFound: there is no such Deployment.
        ApiError: the model server refused the data; the message is its own.
        InvalidInput: *data* cannot be written as JSON.

    Example:
        >>> ty.predict("iris", [[5.1, 3.5, 1.4, 0.2]])  # doctest: +SKIP
    """
    client = client_or_default(client)
    route, body = request_for(_as_json(data), deployment)
    try:
        answer = client.kube.request(
            "POST",
            proxy_path(client.namespace, deployment, _PORT) + route,
            what=f"ask Deployment {deployment} in namespace {client.namespace}",
            body=body,
            harmless=True,
        )
    except ApiError as exc:
        raise _explained(exc, client, deployment) from exc
    return answer.get("items", answer)


def _explained(error: ApiError, client: Client, deployment: str) -> ApiError:
    """Say where to look if no server of the Deployment is there to ask."""
    where = client.command_options()
    if isinstance(error, NotFound) and f'services "{deployment}"' in error.message:
        error.fix = f"`trainyard get deployments{where}` lists those that there are"
    elif error.status == _NO_SERVER:
        error.fix = f"`trainyard describe deployment {deployment}{where}` says why none serves"
    return error


def request_for(data: Any, deployment: str) -> tuple[str, Any]:
    """Choose the route and the body for *data*."""
    if isinstance(data, list):
        return "/invocations", {"inputs": data}
    inputs = data.get("inputs") if isinstance(data, dict) else None
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    if isinstance(first, dict) and {"name", "shape", "datatype"} <= first.keys():
        return f"/v2/models/{deployment}/infer", data
    return "/invocations", data


def _as_json(data: Any) -> Any:
    """Turn what notebooks hold into JSON: frames with their columns, arrays as lists."""
    if hasattr(data, "to_dict") and hasattr(data, "iloc"):
        # Not pandas' own JSON, which rounds numbers to ten digits.
        split = data.to_dict(orient="split")
        data = _split(split["columns"], split["data"])
    elif hasattr(data, "rows") and hasattr(data, "columns"):  # polars
        data = _split(data.columns, data.rows())
    try:
        return json.loads(json.dumps(data, allow_nan=False, default=_plain))
    except (TypeError, ValueError) as exc:
        raise InvalidInput(
            f"The data cannot be written as JSON: {exc}",
            fix="Give numbers, texts, lists of them, an array or a DataFrame; None for what is"
            " missing, in place of NaN",
        ) from exc


def _split(columns: Iterable[Any], rows: Iterable[Iterable[Any]]) -> Object:
    cells = [[_cell(value) for value in row] for row in rows]
    return {"dataframe_split": {"columns": list(columns), "data": cells}}


def _cell(value: Any) -> Any:
    """Return the value of a DataFrame's cell; None for all that pandas has for missing ones."""
    missing = type(value).__name__ in {"NAType", "NaTType"}
    return None if missing or (isinstance(value, float) and math.isnan(value)) else value


def _plain(value: Any) -> Any:
    """Write arrays and their numbers as lists and numbers, times as text, bytes as base64."""
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return _times(value.astype(str).tolist())  # as numbers they would be nanoseconds
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _times(texts: Any) -> Any:
    """Return NumPy's texts of times, None for its missing ones."""
    if isinstance(texts, list):
        return [_times(each) for each in texts]
    return None if texts == "NaT" else texts


def _applied(client: Client, name: str, target: ServedModel, replicas: int | None) -> Deployment:
    """Make the Deployment, or change the one that has the name."""
    client.get(Model, target.name)  # a typing error should show at once
    spec = DeploymentSpec(model=target, replicas=1 if replicas is None else replicas)
    try:
        return client.create(Deployment(metadata=ObjectMeta(name=name), spec=spec))
    except Conflict:
        wanted = target.model_dump(mode="json", by_alias=True, exclude_none=True)
        change: list[Object] = [{"op": "replace", "path": "/spec/model", "value": wanted}]
        if replicas is not None:
            change.append({"op": "replace", "path": "/spec/replicas", "value": replicas})
        return client.patch(Deployment, name, change)
