"""The tracking service, hung, down and back: its Service leads elsewhere, its pod is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import release
from api import Api, Object, until
from readings import SYSTEM

NAME = "trainyard-bench-hung"
LABEL = "trainyard.dev/bench"
_SERVICE = f"/api/v1/namespaces/{SYSTEM}/services/{release.TRACKING}"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{release.TRACKING}"
_PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
_SCRIPT = """
import asyncio

async def hang(reader, writer):
    while await reader.read(65536):
        pass
    writer.close()

async def main():
    async with await asyncio.start_server(hang, port=5000) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Tracking:
    """The service, which can be taken away."""

    api: Api
    image: str
    selector: Object

    async def hang(self) -> None:
        """Have connections accepted, and requests never answered."""
        await self.api.create(_PODS, _pod(self.image))
        path = f"{_PODS}/{NAME}"

        async def is_ready() -> bool:
            return release.is_ready(await self.api.get(path))

        await until(is_ready, what=f"pod {SYSTEM}/{NAME} is ready")
        await self._select({LABEL: "hung"})
        # The connections that the operator keeps end with the pod that they lead to.
        await release.scale(self.api, release.TRACKING, 0)
        chosen = "%2C".join(f"{key.replace('/', '%2F')}%3D{v}" for key, v in self.selector.items())

        async def is_gone() -> bool:
            return not (await self.api.get(f"{_PODS}?labelSelector={chosen}"))["items"]

        await until(is_gone, what="the true tracking service is gone")

    async def end(self) -> None:
        """Have nobody there."""
        await self.api.delete(f"{_PODS}?labelSelector={LABEL}%3Dhung")

    async def come_back(self) -> None:
        """Have the true service again, and wait until it answers."""
        await self.end()
        await self._select(self.selector)
        await release.scale(self.api, release.TRACKING, 1)

        async def is_ready() -> bool:
            found = await self.api.get(_DEPLOYMENT)
            return bool(found["status"].get("readyReplicas") == 1)

        await until(is_ready, what="the tracking service is ready", seconds=300)

    async def _select(self, labels: Object) -> None:
        others = dict.fromkeys([*self.selector, LABEL])
        await self.api.patch(_SERVICE, {"spec": {"selector": {**others, **labels}}})


@asynccontextmanager
async def replaceable(api: Api, image: str) -> AsyncIterator[Tracking]:
    """Let the service be taken away, and have it back at the end."""
    selector = (await api.get(_DEPLOYMENT))["spec"]["selector"]["matchLabels"]
    service = Tracking(api, image, selector)
    try:
        yield service
    finally:
        await service.come_back()


def _pod(image: str) -> Object:
    container = {
        "name": "hung",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _SCRIPT],
        "ports": [{"name": "http", "containerPort": 5000}],
        "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {LABEL: "hung"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001},
            "containers": [container],
        },
    }
