"""By which Secret's token a pod is known: what was made says so, not today's settings. Pure."""

from trainyard_operator.engine.plan import Object

TOKEN_ENV = "MLFLOW_TRACKING_TOKEN"  # noqa: S105  # a name
TOKEN_VOLUME = "token"  # noqa: S105  # a name
KEPT = "tokenSecret"
"""Field of a trimmed spec that says it."""


def token_secret(holder: Object) -> str:
    """Return the name of the Secret with the token that a pod has, or the pods of a child.

    Args:
        holder: A pod, or what has a template of pods; whole or trimmed. "" if it names none.
    """
    spec = holder.get("spec") or {}
    if KEPT in spec:
        return str(spec[KEPT])
    pod = (spec.get("template") or {}).get("spec") or spec
    for container in pod.get("containers") or ():
        for each in container.get("env") or ():
            if each["name"] == TOKEN_ENV:
                reference = (each.get("valueFrom") or {}).get("secretKeyRef") or {}
                return str(reference.get("name", ""))
    volumes = (v for v in pod.get("volumes") or () if v["name"] == TOKEN_VOLUME)
    return next((str((v.get("secret") or {}).get("secretName", "")) for v in volumes), "")
