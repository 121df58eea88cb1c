"""By which Secret's token a pod is known, and where it looks for the tracking service. Pure.

What was made says so, not today's settings.
"""

import sys

from trainyard_operator.engine.plan import Object

TOKEN_ENV = "MLFLOW_TRACKING_TOKEN"  # noqa: S105  # a name
TOKEN_VOLUME = "token"  # noqa: S105  # a name
URL_ENV = "MLFLOW_TRACKING_URI"
_SECRET, _URL = "tokenSecret", "trackingURI"


def kept(holder: Object) -> Object:
    """Return the fields of a trimmed spec that say both."""
    found = {_SECRET: token_secret(holder), _URL: sys.intern(tracking_uri(holder))}
    return {name: value for name, value in found.items() if value}


def token_secret(holder: Object) -> str:
    """Return the name of the Secret with the token that a pod has, or the pods of a child.

    Args:
        holder: A pod, or what has a template of pods; whole or trimmed. "" if it names none.
    """
    spec = holder.get("spec") or {}
    if _SECRET in spec:
        return str(spec[_SECRET])
    if reference := _variable(holder, TOKEN_ENV).get("valueFrom", {}).get("secretKeyRef"):
        return str(reference.get("name", ""))
    volumes = (v for v in _pod(holder).get("volumes") or () if v["name"] == TOKEN_VOLUME)
    return next((str((v.get("secret") or {}).get("secretName", "")) for v in volumes), "")


def tracking_uri(holder: Object) -> str:
    """Return where MLflow in a pod looks for the tracking service; "" if it is not told."""
    spec = holder.get("spec") or {}
    return str(spec.get(_URL) or _variable(holder, URL_ENV).get("value", ""))


def _variable(holder: Object, name: str) -> Object:
    told = (e for c in _pod(holder).get("containers") or () for e in c.get("env") or ())
    return next((each for each in told if each["name"] == name), {})


def _pod(holder: Object) -> Object:
    spec: Object = holder.get("spec") or {}
    pod: Object = (spec.get("template") or {}).get("spec") or spec
    return pod
