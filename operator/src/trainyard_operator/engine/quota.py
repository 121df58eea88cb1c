"""What a namespace's ResourceQuota says when it refuses a pod. Pure.

Kubernetes says either of two things in one breath: that there is no room now, which passes, or that
the pod leaves out what the quota counts, which never does.
"""

import re
from collections.abc import Collection, Iterator

EXCEEDED = "QuotaExceeded"
RESOURCES_MISSING = "ResourcesMissing"
FOREIGN = "which is not Trainyard's but added by a policy or webhook of the cluster"

# Policies and webhooks say "must specify" as well, of labels and whatever they like.
_UNSAID = re.compile(r"failed quota: [^\s:]+: must specify (?P<resources>[^\n]+)")
_BARE = frozenset({"cpu", "memory", "ephemeral-storage"})


def refusal(message: str, *, ours: Collection[str]) -> tuple[str, str] | None:
    """Return the reason and the words for it, None if *message* is not a quota's.

    Args:
        message: What the API server or an Event says, such as ``failed quota: team: must specify
            limits.cpu for: main``.
        ours: The containers whose resources are the resource's `spec.resources`.
    """
    if unsaid := _UNSAID.search(message):
        told = list(_lacking(unsaid["resources"]))
        names = ", ".join(dict.fromkeys(name for name, _ in told))
        return RESOURCES_MISSING, (
            f"The namespace's quota takes only pods that say their {names}:"
            f" {_advice(told, ours)} ({message})"
        )
    if "exceeded quota" in message:
        return EXCEEDED, f"The namespace's quota leaves no room: {message}"
    return None


def _lacking(told: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each resource with the containers that leave it out; older clusters name none."""
    for part in told.split(";"):
        names, _, containers = part.partition(" for:")
        lacking = tuple(each.strip() for each in containers.split(",") if each.strip())
        for name in filter(None, (each.strip() for each in names.split(","))):
            yield (f"requests.{name}" if name in _BARE else name), lacking


def _advice(told: list[tuple[str, tuple[str, ...]]], ours: Collection[str]) -> str:
    default = "have a LimitRange of the namespace give defaults"
    fields = [name for name, lacking in told if not lacking or set(lacking) & set(ours)]
    foreign = {each: None for _, lacking in told for each in lacking if each not in ours}
    if not foreign:
        return f"set {_fields(fields)}, or {default}"
    said = f"container {', '.join(foreign)}, {FOREIGN}, says none: {default}"
    return f"set {_fields(fields)}; {said}" if fields else said


def _fields(names: list[str]) -> str:
    return ", ".join(f"spec.resources.{name}" for name in dict.fromkeys(names))
