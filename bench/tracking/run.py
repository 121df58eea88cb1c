"""Many clients that log, beside large files, searches and a publish: what the service makes of it.

On the local cluster; see ../README.md.
"""

import argparse
import asyncio
import json
import os
import sys
from base64 import b64decode
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "common"))
sys.path.append(str(Path(__file__).parents[1] / "load"))

import program
import promotion
from api import Api, BenchError, Object, connected, namespace, until
from figures import Figures, shown
from program import say
from readings import SYSTEM, find_operator

NAME = "clients"
SPACE = f"trainyard-bench-{os.getpid()}"
URL = f"https://trainyard-tracking.{SYSTEM}.svc:5000"
EVERY = 2.0


async def bench(options: argparse.Namespace) -> Figures:
    """Play it; leave the cluster as it was."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(connected())
        image = (await find_operator(api)).image
        space = await stack.enter_async_context(namespace(api, SPACE))
        asked = {
            "url": URL,
            "namespace": space,
            "clients": options.n,
            "seconds": options.seconds,
            "every": options.every,
            "searches": options.searches,
            "mebibytes": options.mebibytes,
        }
        tls = await api.get(f"/api/v1/namespaces/{SYSTEM}/secrets/trainyard-tracking-tls")
        asked["authority"] = b64decode(tls["data"]["ca.crt"]).decode()
        await _start(api, space, image, asked)
        say(f"{options.n} clients log for {options.seconds:.0f} s")
        memory = Memory(api)
        watching = asyncio.create_task(memory.watch())
        publishing = asyncio.create_task(promotion.published(api, space))
        try:
            told = await _result(api, space, seconds=options.seconds + 1800)
            published = await _outcome(publishing)
        finally:
            watching.cancel()
            publishing.cancel()
        return _figures(told) | {"publish": published} | memory.figures()


class Memory:
    """What the tracking service takes, and how often it was started again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._most: dict[str, float] = {}
        self._restarts: dict[str, int] = {}

    async def watch(self) -> None:
        while True:
            with suppress(BenchError):
                await self._look()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        path = f"/api/v1/namespaces/{SYSTEM}/pods"
        chosen = "labelSelector=app.kubernetes.io%2Fcomponent%3Dtracking"
        for pod in (await self._api.get(f"{path}?{chosen}"))["items"]:
            name = pod["metadata"]["name"]
            states = pod["status"].get("containerStatuses") or ()
            self._restarts[name] = sum(each["restartCount"] for each in states)
            text = await self._api.text(f"{path}/https:{name}:5000/proxy/metrics")
            for line in text.splitlines():
                if line.startswith("process_resident_memory_bytes "):
                    now = float(line.split()[1]) / 2**20
                    self._most[name] = max(now, self._most.get(name, 0))

    def figures(self) -> Figures:
        return {
            "tracking: pods, restarts": f"{len(self._restarts)}, {sum(self._restarts.values())}",
            "tracking: largest RSS, MiB": max(self._most.values(), default=0),
        }


async def _outcome(publishing: asyncio.Task[Any]) -> str:
    """Say how the publish went."""
    try:
        await publishing
    except BenchError as exc:
        return str(exc)
    return "two versions Published"


def _figures(told: dict[str, Any]) -> Figures:
    figures: Figures = {}
    for kind, spread in told["calls"].items():
        text = f"{spread['n']}: {spread['p50']:.3f}, {spread['p99']:.3f}, {spread['max']:.3f}"
        figures[f"{kind}, n: p50, p99, max, s"] = text
    figures |= {f"{kind}, MiB/s": rate for kind, rate in told["MiB per s"].items()}
    figures |= {f"told to come back: {what}": n for what, n in told["told to come back"].items()}
    figures["failed"] = sum(told["failed"].values())
    return figures | {f"failed: {what}": n for what, n in told["failed"].items()}


async def _start(api: Api, space: str, image: str, asked: Object) -> None:
    """Start the pod, with a token of somebody who may work in its namespace."""
    base = f"/api/v1/namespaces/{space}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": NAME},
        "roleRef": role | {"name": "trainyard-scientist"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": space}],
    }
    await api.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/rolebindings", binding)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    request["spec"] = {"expirationSeconds": 7200}
    made = await api.create(f"{base}/serviceaccounts/default/token", request)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}}
    await api.create(f"{base}/secrets", secret | {"stringData": {"token": made["status"]["token"]}})
    code = Path(__file__).with_name("clients.py").read_text(encoding="utf-8")
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}}
    await api.create(f"{base}/configmaps", files | {"data": {"clients.py": code}})
    await api.create(f"{base}/pods", _pod(image, asked))


def _pod(image: str, asked: Object) -> Object:
    token = {"secretKeyRef": {"name": NAME, "key": "token"}}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/code/clients.py", json.dumps(asked)],
        "env": [{"name": "TOKEN", "valueFrom": token}],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "code", "configMap": {"name": NAME}}],
            "containers": [container],
        },
    }


async def _result(api: Api, space: str, *, seconds: float) -> dict[str, Any]:
    """Wait for the pod's end; return what it printed.

    Raises:
        BenchError: It failed; with the end of its log.
    """
    path = f"/api/v1/namespaces/{space}/pods/{NAME}"

    async def is_over() -> bool:
        return (await api.get(path))["status"].get("phase") in {"Succeeded", "Failed"}

    await until(is_over, what=f"pod {space}/{NAME} has ended", seconds=seconds, every=1)
    log = await api.text(f"{path}/log")
    try:
        told: dict[str, Any] = json.loads(log.splitlines()[-1])
    except (IndexError, ValueError) as exc:
        raise BenchError(f"the clients failed: {log[-1500:]}") from exc
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=60, help="clients")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--every", type=float, default=2, help="seconds between a client's steps")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--mebibytes", type=int, default=10_240, help="of the large files; 0: none")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    figures = program.run("bench/tracking", bench(options))
    print(f"\n{shown(figures)}\n\n{os.cpu_count()} cores for everything.")
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
