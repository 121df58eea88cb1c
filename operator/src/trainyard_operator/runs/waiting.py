"""Why a pod does not start, and whether waiting longer can help. Pure, table-driven.

    pod's waiting state, its Warning Events, PodScheduled, the Job's Events
        ─▶ Waiting(reason, message, final?)

Patience: what only the user can mend is final after a few seconds of it (somebody may just be
applying the missing Secret); what time can mend waits for ever, and says for what.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from trainyard_operator.engine import quota
from trainyard_operator.engine.answers import too_large
from trainyard_operator.engine.conditions import find
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.outcome import MAIN, SOURCE, container_state, tail_of

# Two or three tries of the kubelet. A registry that is asked with a token just made, or that is
# short of something, may say no for a moment; that an image is not there it does not say so.
IMAGE_PATIENCE = timedelta(seconds=15)
DENIED_PATIENCE = timedelta(seconds=60)
REGISTRY_PATIENCE = timedelta(seconds=20)
CONFIG_PATIENCE = timedelta(seconds=30)
UNKNOWN_PATIENCE = timedelta(minutes=5)
_QUOTA_PATIENCE = {quota.EXCEEDED: None, quota.RESOURCES_MISSING: UNKNOWN_PATIENCE}
# Of what no event of a pod or Job tells: Warning Events, patience.
SHORTEST_LOOK = timedelta(seconds=5)
LONGEST_LOOK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an attempt waits for.

    Attributes:
        patience: After this time of waiting it is final; None means never.
        is_silent: It tells nothing new: what was waited for before still is.
    """

    reason: str
    message: str
    patience: timedelta | None = None
    is_silent: bool = False

    def is_final(self, waited: timedelta) -> bool:
        """Tell whether it has waited long enough to give up."""
        return self.patience is not None and waited >= self.patience


STARTING = Waiting("Starting", "The pod is starting")
PENDING = Waiting("Pending", "The pod is not made yet")

_ABSENT = re.compile(
    r"not found|manifest unknown|name unknown|does not exist|repository name not known"
    r"|no match for platform|\b404\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"unauthorized|authentication required|denied|forbidden|insufficient_scope|\b40[13]\b",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(r"no such host|server misbehaving|name resolution", re.IGNORECASE)
_PASSING = re.compile(r"timed out|deadline exceeded|temporarily|failed to sync|is reserved for")
_MISSING = re.compile(
    r"(secret|configmap|persistentvolumeclaim|serviceaccount) \"(?:[^\"/]+/)?([^\"]+)\" not found"
    r"|references non-existent (secret|config) key: (\S+)"
    r"|couldn't find key (\S+) in (Secret|ConfigMap) (\S+)",
    re.IGNORECASE,
)
_SPELT = {
    "secret": "Secret",
    "configmap": "ConfigMap",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "serviceaccount": "ServiceAccount",
}
_ROOT = re.compile(
    r"runAsNonRoot and image|breaks non-root policy|runAsNonRoot != true|runAsUser=0", re.IGNORECASE
)
_IMAGE_STATES = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"}
)
_SETTLED_STATES = frozenset({"", "PodInitializing", "ContainerCreating"})

ROOT_MESSAGE = (
    "The image runs as root, which Runs may not: set spec.podTemplate.runAsUser to a number"
    " above 0 (most images work with any), or build the image with a numeric USER"
)


def look_again(waited: timedelta, *, left: timedelta | None = None) -> timedelta:
    """Return when to look again at what has waited for so long: a sixth of that, within bounds.

    Args:
        left: What is left of its patience, None if that is endless.
    """
    pause = min(max(waited / 6, SHORTEST_LOOK), LONGEST_LOOK)
    return pause if left is None else min(pause, left)


def waiting_of(pod: Object, warnings: Sequence[str]) -> Waiting:
    """Return what a pod that has not started waits for.

    Args:
        warnings: Messages of its Warning Events, newest first.
    """
    for name in (SOURCE, MAIN):
        state = (container_state(pod, name) or {}).get("waiting") or {}
        reason = str(state.get("reason", ""))
        if reason not in _SETTLED_STATES:
            return _of_state(pod, name, reason, str(state.get("message", "")))
    scheduled = find(pod.get("status") or {}, "PodScheduled") or {}
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return _unschedulable(str(scheduled.get("message", "")))
    return _of_foreign(pod) or _of_warnings(warnings) or STARTING


def suspended_of(job: Object) -> Waiting:
    """Return what a Job waits for that somebody else suspended."""
    queue = (job["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name")
    by = job["spec"].get("suspendedBy")
    who = f"Kueue, queue {queue}" if queue else f"{by}" if by else "a queue?"
    return Waiting(
        "JobSuspended",
        f"The Job is suspended by another controller ({who}): it starts once that one lets it",
    )


def blocked_of(warnings: Sequence[str]) -> Waiting:
    """Return why a Job has no pod, from its own Warning Events, newest first."""
    for warning in warnings:
        if refused := quota.refusal(warning, ours=(SOURCE, MAIN)):
            return Waiting(*refused, _QUOTA_PATIENCE[refused[0]])
        if _ROOT.search(warning):
            return Waiting("ImageRunsAsRoot", f"{ROOT_MESSAGE} ({warning})", timedelta(0))
        missing = _MISSING.search(warning)
        if missing:
            return _config(missing, warning)
        larger = too_large(warning)
        if larger or "violates PodSecurity" in warning or "is invalid" in warning:
            return Waiting("InvalidSpec", f"The pod is refused: {larger or warning}", timedelta(0))
        if "FailedCreate" in warning:
            return Waiting("Pending", f"The pod cannot be made: {warning}")
    return PENDING


def _of_state(pod: Object, container: str, reason: str, message: str) -> Waiting:
    image = _image(pod, container)
    if reason in {"InvalidImageName", "ErrImageNeverPull"} or reason in _IMAGE_STATES:
        return _image_waiting(reason, message, image)
    if _ROOT.search(message):
        return Waiting("ImageRunsAsRoot", f"{ROOT_MESSAGE} ({message})", timedelta(0))
    missing = _MISSING.search(message)
    if missing:
        return _config(missing, message)
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        passes = _PASSING.search(message)
        patience = None if passes else UNKNOWN_PATIENCE
        return Waiting("StartFailed", f"The container cannot start: {message}", patience)
    return Waiting("Starting", f"The container waits: {reason} {message}".strip())


def _of_foreign(pod: Object) -> Waiting | None:
    """Return what a container keeps waiting which is not ours: a policy added it."""
    status = pod.get("status") or {}
    inits = status.get("initContainerStatuses") or ()
    for each in (*inits, *(status.get("containerStatuses") or ())):
        waits = (each.get("state") or {}).get("waiting") or {}
        if each["name"] in {SOURCE, MAIN} or waits.get("reason", "") in _SETTLED_STATES:
            continue
        last = tail_of(((each.get("lastState") or {}).get("terminated") or {}).get("message"))
        said = f"{waits['reason']} {waits.get('message', '')}".strip()
        said += f"; its last line: {last[-1]}" if last else ""
        failed = "ImagePullFailed" if waits["reason"] in _IMAGE_STATES else "Starting"
        return Waiting(failed, f"The container {each['name']}, {quota.FOREIGN}, waits: {said}")
    running = (each["name"] for each in inits if "running" in (each.get("state") or {}))
    name = next((name for name in running if name != SOURCE and not _is_sidecar(pod, name)), None)
    if name is None:
        return None
    return Waiting("Starting", f"The init container {name}, {quota.FOREIGN}, runs first")


def _is_sidecar(pod: Object, name: str) -> bool:
    inits = pod["spec"].get("initContainers") or ()
    return any(i["name"] == name and i.get("restartPolicy") == "Always" for i in inits)


def _image_waiting(reason: str, message: str, image: str) -> Waiting:
    fix = f"{image} cannot be pulled: {message}"
    if reason == "InvalidImageName":
        return Waiting(
            "InvalidImageName", f"{image} is no image reference: correct it", timedelta(0)
        )
    said = _error_part(message)
    denied = _DENIED.search(said)
    if reason == "ErrImageNeverPull" or denied or _ABSENT.search(said):
        advice = "; check its name and spec.podTemplate.imagePullSecrets"
        return Waiting(
            "ImagePullFailed", fix + advice, DENIED_PATIENCE if denied else IMAGE_PATIENCE
        )
    if _UNREACHABLE.search(message):
        return Waiting(
            "ImagePullFailed", f"{fix}; is the registry's name right?", REGISTRY_PATIENCE
        )
    # Kubelets before 1.32 do not repeat the error while they wait for the next try.
    bare = reason == "ImagePullBackOff" and ":" not in said
    return Waiting("ImagePullFailed", f"{fix}; trying again", is_silent=bare)


def _error_part(message: str) -> str:
    # The image's own name must not look like an error ("denied/app:404").
    return re.sub(r'"[^"]*"', "", message)


def _config(missing: re.Match[str], message: str) -> Waiting:
    kind, name, _, key, other_key, holder, held_in = missing.groups()
    if name:
        said = f"{_SPELT[kind.lower()]} {name} does not exist in the namespace: create it"
    elif other_key:
        said = f"{holder} {held_in.rpartition('/')[2]} has no key {other_key}: add it"
    else:
        said = f"A mounted Secret or ConfigMap has no key {key}: add it ({message})"
    return Waiting("ConfigMissing", said, CONFIG_PATIENCE)


def _unschedulable(message: str) -> Waiting:
    missing = _MISSING.search(message)
    if missing:
        return _config(missing, message)
    return Waiting("Unschedulable", f"No node takes the pod: {message}")


def _of_warnings(warnings: Sequence[str]) -> Waiting | None:
    for warning in warnings:
        missing = _MISSING.search(warning) if warning.startswith("FailedMount") else None
        if missing:
            return _config(missing, warning)
    for warning in warnings:
        if warning.startswith(("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")):
            return Waiting("Starting", f"The pod waits: {warning}")
    return None


def _image(pod: Object, container: str) -> str:
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each["name"] == container and each.get("image"):
            return str(each["image"])
    for each in pod["spec"].get("containers") or ():
        if each["name"] == container:
            return str(each.get("image", "the image"))
    return "The image"
