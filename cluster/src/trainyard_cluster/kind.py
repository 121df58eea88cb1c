"""The cluster itself: made by kind, under its own name, with its own kubeconfig."""

import json
import time
from pathlib import Path
from typing import Any

import yaml

from trainyard_cluster import paths, tools
from trainyard_cluster.node import node_image
from trainyard_cluster.provider import provider
from trainyard_cluster.shell import StepError, console, output, run, step

MODULES = Path("/lib/modules")
RETURN_SECONDS = 90.0
# A node that is busy, as a laptop is, loses what a program prints faster than it looks for full
# files: decision 0002. So they are large.
KUBELET = {"kind": "KubeletConfiguration", "containerLogMaxSize": "256Mi"}
RAISED = [{"name": "kube-api-qps", "value": "1000"}, {"name": "kube-api-burst", "value": "2000"}]


def config(*, built: bool, raise_limits: bool = False) -> dict[str, Any]:
    """Return kind's configuration; *built*: for the node image built from Go modules."""
    node = {
        "role": "control-plane",
        "extraPortMappings": [
            {
                "containerPort": 30080,
                "hostPort": paths.ENDPOINT_PORT,
                "listenAddress": "127.0.0.1",
            }
        ],
    }
    cluster: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [node],
    }
    kubelet: dict[str, Any] = dict(KUBELET)
    if built:
        # No kindnetd as a Go module: the image has a ptp configuration for its one node.
        cluster["networking"] = {"disableDefaultCNI": True, "kubeProxyMode": "nftables"}
        # The kubelet then tolerates what it may not do without CAP_SYS_RESOURCE.
        cluster["featureGates"] = {"KubeletInUserNamespace": True}
        kubelet |= {"failCgroupV1": False, "failSwapOn": False}
    patches = [kubelet]
    if raise_limits:
        raised = {"extraArgs": RAISED}
        patches.append(
            {"kind": "ClusterConfiguration", "controllerManager": raised, "scheduler": raised}
        )
    cluster["kubeadmConfigPatches"] = [yaml.safe_dump(patch) for patch in patches]
    return cluster


def exists() -> bool:
    """Say whether kind knows a cluster of our name, dead or alive."""
    names = output(tools.kind(), "get", "clusters", env=provider().environment)
    return paths.CLUSTER in names.split()


def answers() -> bool:
    """Say whether the cluster's API server is ready."""
    if not paths.kubeconfig().exists():
        return False
    kubeconfig = f"--kubeconfig={paths.kubeconfig()}"
    return output(tools.kubectl(), kubeconfig, "get", "--raw", "/readyz", timeout=10) == "ok"


def comes_back() -> bool:
    """Start the node, which a restart of the machine stops, and wait: its volumes are still there.

    A node that runs may be busy, or its kubeconfig be another cache's.
    """
    console.print("  • The cluster is there but does not answer: start its node (about 30 s)")
    if not provider().output("start", paths.NODE):
        return False
    deadline = time.monotonic() + RETURN_SECONDS
    while time.monotonic() < deadline:
        if not paths.kubeconfig().exists():
            _export_kubeconfig()
        if answers():
            return True
        time.sleep(1)
    return False


def _export_kubeconfig() -> None:
    file = ("--kubeconfig", paths.kubeconfig())
    name = ("--name", paths.CLUSTER)
    output(tools.kind(), "export", "kubeconfig", *name, *file, env=provider().environment)


def up(*, raise_limits: bool = False) -> None:
    """Make the cluster, unless it is there and well."""
    if exists():
        if answers() or comes_back():
            return
        console.print("  • It does not: the cluster is made anew, what was in it is gone")
        down()
    image = node_image()
    _require_modules_folder()
    settings = config(built=image is not None, raise_limits=raise_limits)
    with step("Cluster", takes="30 s"):
        run(
            tools.kind(),
            "create",
            "cluster",
            "--name",
            paths.CLUSTER,
            "--kubeconfig",
            paths.kubeconfig(),
            "--config",
            "-",
            "--wait",
            "120s",
            *(["--image", image] if image else []),
            stdin=json.dumps(settings).encode(),
            env=provider().environment,
            log="cluster",
            remedy=f"If port {paths.ENDPOINT_PORT} is taken, free it; then run this again.",
        )


def _require_modules_folder() -> None:
    """Make the folder of kernel modules that kind mounts: a slim system, with no module, has none.

    Raises:
        StepError: it is missing, and we may not make it.
    """
    try:
        MODULES.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepError(f"kind mounts {MODULES}: `sudo mkdir -p {MODULES}`, then again") from error


def down() -> None:
    """Delete the cluster and its kubeconfig; nothing else."""
    with step("Delete the cluster", takes="10 s"):
        run(
            tools.kind(),
            "delete",
            "cluster",
            "--name",
            paths.CLUSTER,
            "--kubeconfig",
            paths.kubeconfig(),
            env=provider().environment,
            log="cluster",
            remedy="Run it again.",
        )
        paths.kubeconfig().unlink(missing_ok=True)
