"""What every pod and container of ours is held to: the restricted Pod Security Standard. Pure."""

from trainyard_operator.engine.plan import Object

CONTAINER: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
READ_ONLY_CONTAINER: Object = {**CONTAINER, "readOnlyRootFilesystem": True}
"""For one that writes to its volumes alone."""


def pod(*, user: int | None, group: int | None) -> Object:
    """Return a pod's security context: never root, whatever the image says.

    Args:
        user: UID of its processes; None means the image's own.
        group: Owner of its volumes; None leaves them to root.
    """
    context: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user is not None:
        context["runAsUser"] = user
    if group is not None:
        context["fsGroup"] = group
    return context
