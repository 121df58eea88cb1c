"""The environment variables of `main`. Pure.

The user's own come first and may replace what is only a default here; what makes the Run be
recorded as its own is Trainyard's and wins.
"""

import re
from collections.abc import Mapping
from typing import Any

from trainyard_api import contract
from trainyard_api.attempts import attempt_run_id

from trainyard_operator import names
from trainyard_operator.engine.mounted import TOKEN_ENV, URL_ENV
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs import source
from trainyard_operator.runs.source import literal, text_of
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_secret

# USER, because the UID of a pod has no name in most images, and getpass.getuser() raises then.
_DEFAULTS = {
    "HOME": contract.HOME,
    "USER": "trainyard",
    "PYTHONUNBUFFERED": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    # The links would be of this cluster, and work on no laptop: `trainyard ui RUN` does.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_CERTIFICATE = "MLFLOW_TRACKING_SERVER_CERT_PATH"
_UNCHECKED = "MLFLOW_TRACKING_INSECURE_TLS"
_NOT_A_VARIABLE = re.compile(r"[^A-Za-z0-9_]")


def main_environment(run: Object, attempt: int, *, settings: Settings) -> list[Object]:
    """Return the variables of `main`, each name once."""
    spec = run["spec"]
    theirs = {each["name"]: each for each in spec.get("env") or ()}
    ours = {**_recording(run, settings), **_about(run, attempt), **_parameters(spec)}
    fixed = [{"name": name, "value": literal(value)} for name, value in ours.items()]
    token = token_variable(run, settings)
    taken = {*ours, *contract.RESERVED_ENV}
    defaults = [
        {"name": name, "value": value}
        for name, value in {**_DEFAULTS, **_trusting(theirs, settings)}.items()
        if name not in theirs
    ]
    return [*defaults, *(e for name, e in theirs.items() if name not in taken), *fixed, token]


def token_variable(run: Object, settings: Settings) -> Object:
    """Return the variable that holds the Run's token."""
    secret = run_secret(run, settings=settings)["metadata"]["name"]
    reference = {"name": secret, "key": contract.TOKEN_KEY}
    return {"name": TOKEN_ENV, "valueFrom": {"secretKeyRef": reference}}


def _recording(run: Object, settings: Settings) -> dict[str, str]:
    experiment = run["spec"].get("experiment") or contract.DEFAULT_EXPERIMENT
    return {
        URL_ENV: settings.tracking_url,
        "MLFLOW_EXPERIMENT_NAME": experiment,
    }


def _trusting(theirs: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return what has MLflow check the service's certificate, and no other call of the program."""
    # MLflow refuses to be told both.
    if not settings.tracking_ca or _may_be_true(theirs.get(_UNCHECKED)):
        return {}
    return {_CERTIFICATE: source.AUTHORITY}


def _may_be_true(variable: Object | None) -> bool:
    """Tell whether MLflow reads a variable as true, as far as it can be known here."""
    if variable is None or "valueFrom" in variable:
        return variable is not None
    value = str(variable.get("value", "")).lower()
    return value in {"true", "1"} or "$(" in value


def _about(run: Object, attempt: int) -> dict[str, str]:
    about = {
        "TRAINYARD_RUN": run["metadata"]["name"],
        # Not MLFLOW_RUN_ID, which every process of a program would resume.
        "TRAINYARD_RUN_ID": names.run_id(run),
        "TRAINYARD_NAMESPACE": run["metadata"]["namespace"],
        "TRAINYARD_ATTEMPT": str(attempt),
    }
    if attempt > 1:
        about["TRAINYARD_PREVIOUS_RUN_ID"] = attempt_run_id(names.run_id(run), attempt - 1)
    return about


def _parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    return {
        contract.PARAMETER_ENV_PREFIX + _NOT_A_VARIABLE.sub("_", name).upper(): text_of(value)
        for name, value in (spec.get("parameters") or {}).items()
    }
