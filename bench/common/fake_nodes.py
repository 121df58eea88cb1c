"""Nodes played by kwok: their pods run at once, and succeed after a while, or when told to."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubelet_pod
import yaml
from api import Api, BenchError, Object, until
from trainyard_cluster import paths, tools
from trainyard_cluster.shell import output

NODES = 3
# What a pod needs to land on a fake node, and nothing else does.
TAINT = "trainyard.dev/bench"
PLACE: Object = {
    "nodeSelector": {TAINT: "fake"},
    "tolerations": [{"key": TAINT, "operator": "Exists"}],
}
_SIZE = {"cpu": "1k", "memory": "4Ti", "pods": "5000"}
_ANNOTATION = "trainyard.dev/bench-process"
_COMPLETE = "pod-complete"
_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat/node-heartbeat.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


@dataclass(slots=True)
class Kwok:
    """The process that plays; another one goes on where it was ended."""

    process: "subprocess.Popen[bytes]"

    def complete(self) -> None:
        """Have all pods that run succeed now, and others as soon as they run."""
        self.end()
        self.process = _started(0.0)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


@asynccontextmanager
async def playing(api: Api, *, address: str, seconds: float | None) -> AsyncIterator[Kwok]:
    """Have fake nodes whose kubelet is at *address*; their pods run for *seconds*.

    Args:
        seconds: None: until `complete` is called.
    """
    # Nodes that a killed bench left behind are nobody's: another process ID plays ours.
    await api.delete(f"/api/v1/nodes?labelSelector={TAINT}")
    kwok = Kwok(_started(seconds))
    try:
        for number in range(NODES):
            await api.create("/api/v1/nodes", _node(f"fake-{number}", address))
        await until(lambda: _are_ready(api, kwok.process), what="the fake nodes are ready")
        yield kwok
    finally:
        await api.delete(f"/api/v1/nodes?labelSelector={TAINT}")
        kwok.end()


async def _are_ready(api: Api, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise BenchError(f"kwok ended with {process.returncode}: see {paths.logs()}/kwok-bench.log")
    nodes = (await api.get(f"/api/v1/nodes?labelSelector={TAINT}"))["items"]
    ready = [
        condition
        for node in nodes
        for condition in node["status"].get("conditions") or ()
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return len(ready) == NODES


def _started(seconds: float | None) -> "subprocess.Popen[bytes]":
    stages = paths.logs() / "kwok-bench-stages.yaml"  # beside its log, written anew each time
    stages.write_text(yaml.safe_dump_all(_stages(seconds)), encoding="utf-8")
    words = [
        str(tools.kwok()),
        f"--kubeconfig={paths.kubeconfig()}",
        f"--config={stages}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={_ANNOTATION}={os.getpid()}",
        # Without leases: a second process would wait until those of the first are over.
        "--node-lease-duration-seconds=0",
    ]
    with (paths.logs() / "kwok-bench.log").open("wb") as log:
        return subprocess.Popen(words, stdout=log, stderr=log)


def _stages(seconds: float | None) -> list[Any]:
    """Return kwok's own stages, from its module, with a delay before pods complete."""
    module = f"sigs.k8s.io/kwok@{paths.KWOK}"
    answer = output(tools.go(), "mod", "download", "-json", module, timeout=300)
    if not answer:
        raise BenchError(f"`go mod download {module}` failed: run it to see why.")
    folder = Path(json.loads(answer)["Dir"]) / "kustomize" / "stage"
    stages = [yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in _STAGES]
    if seconds is None:
        return [stage for stage in stages if stage["metadata"]["name"] != _COMPLETE]
    for stage in stages:
        if stage["metadata"]["name"] == _COMPLETE:
            stage["spec"]["delay"] = {"durationMilliseconds": int(seconds * 1000)}
    return stages


def _node(name: str, address: str) -> Object:
    # Without the label kubernetes.io/os no DaemonSet of the cluster wants a pod on it.
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {TAINT: "fake", "kubernetes.io/hostname": name},
            "annotations": {_ANNOTATION: str(os.getpid())},
        },
        "spec": {"taints": [{"key": TAINT, "value": "fake", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": _SIZE,
            "capacity": _SIZE,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_pod.PORT}},
        },
    }
