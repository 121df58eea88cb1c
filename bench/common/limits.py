"""The controller-manager's and the scheduler's request limits, raised for a while.

At their defaults (20 requests a second for each controller, 50 for the scheduler) the Job
controller is the bottleneck, and hides what an operator costs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api import Api, until
from trainyard_cluster.kind import RAISED
from trainyard_cluster.paths import NODE
from trainyard_cluster.provider import provider

MANIFESTS = "/etc/kubernetes/manifests"
# On the file system of the manifests: the kubelet must never see half of one.
KEPT = "/etc/kubernetes/trainyard-bench"
COMPONENTS = ("kube-controller-manager", "kube-scheduler")
FLAGS = tuple(f"--{each['name']}={each['value']}" for each in RAISED)
REMEDY = f"The manifests as they were are in {KEPT} of the container {NODE}."


@asynccontextmanager
async def raised(api: Api) -> AsyncIterator[None]:
    """Raise the limits where they are not, and put back what was there."""
    if not _is_kept() and await _all_have(api, flags=True):
        yield  # the cluster was made with --raise-limits
        return
    try:
        _in_node("; ".join(_raise(name) for name in COMPONENTS))
        await until(
            lambda: _all_have(api, flags=True), what="controllers restart with raised limits"
        )
        yield
    finally:
        _in_node("; ".join([*map(_restore, COMPONENTS), f"rm -rf {KEPT}"]))
        await until(
            lambda: _all_have(api, flags=False), what="controllers restart with their own limits"
        )


def _is_kept() -> bool:
    """Tell whether a bench that was killed left its limits behind."""
    return bool(provider().output("exec", NODE, "sh", "-c", f"ls {KEPT}/* 2>/dev/null"))


def _raise(name: str) -> str:
    new, kept = f"{KEPT}/new", f"{KEPT}/{name}.yaml"
    lines = "".join(rf"\n    - {flag}" for flag in FLAGS)
    return (
        f"mkdir -p {KEPT}; test -e {kept} || cp -p {MANIFESTS}/{name}.yaml {kept}; "
        f"cp -p {kept} {new}; sed -i 's/^    - {name}$/&{lines}/' {new}; "
        f"mv {new} {MANIFESTS}/{name}.yaml"
    )


def _restore(name: str) -> str:
    kept = f"{KEPT}/{name}.yaml"
    return f"test ! -e {kept} || mv {kept} {MANIFESTS}/"


def _in_node(script: str) -> None:
    provider().run("exec", NODE, "sh", "-ec", script, log="bench", remedy=REMEDY)


async def _all_have(api: Api, *, flags: bool) -> bool:
    """Tell whether both components run, all with the flags or all without."""
    found = []
    for name in COMPONENTS:
        path = f"/api/v1/namespaces/kube-system/pods?labelSelector=component%3D{name}"
        for pod in (await api.get(path))["items"]:
            command = pod["spec"]["containers"][0]["command"]
            states = pod["status"].get("containerStatuses") or [{"ready": False}]
            found.append(states[0]["ready"] and all(f in command for f in FLAGS) == flags)
    return len(found) == len(COMPONENTS) and all(found)
