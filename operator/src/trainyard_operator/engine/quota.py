"""What a namespace's ResourceQuota says when it refuses a pod. Pure.

Kubernetes says either of two things in one breath: that there is no room now, which passes, or that
the pod leaves out what the quota counts, which never does.
"""

import re

EXCEEDED = "QuotaExceeded"
RESOURCES_MISSING = "ResourcesMissing"

_UNSAID = re.compile(r"must specify (?P<resources>.+)", re.DOTALL)
_CONTAINERS = re.compile(r"\s+for:[^;]*")  # "limits.cpu for: main,sidecar; limits.memory for: main"


def refusal(message: str) -> tuple[str, str] | None:
    """Return the reason and the words for it, None if *message* is not a quota's.

    Args:
        message: What the API server or an Event says, such as ``failed quota: team: must specify
            limits.cpu for: main``.
    """
    if unsaid := _UNSAID.search(message):
        told = _CONTAINERS.sub("", unsaid["resources"])
        names = [name.strip() for name in re.split(r"[;,]", told) if name.strip()]
        fields = ", ".join(f"spec.resources.{name}" for name in names)
        return RESOURCES_MISSING, (
            f"The namespace's quota takes only pods that say their {', '.join(names)}:"
            f" set {fields}, or have a LimitRange of the namespace give defaults ({message})"
        )
    if "exceeded quota" in message:
        return EXCEEDED, f"The namespace's quota leaves no room: {message}"
    return None
