"""The installed release, changed for a while: its values, and how many replicas run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from api import Api, until
from program import command, say
from readings import SYSTEM, replicas
from trainyard_cluster import paths, tools

RELEASE = "trainyard"
CHART = paths.REPOSITORY / "charts" / "trainyard"
OPERATOR, TRACKING = "trainyard-operator", "trainyard-tracking"
_HERE = ("--namespace", SYSTEM, "--wait", "--timeout", "5m")


@asynccontextmanager
async def upgraded(values: dict[str, Any]) -> AsyncIterator[None]:
    """Upgrade the release to other values; roll it back to what it was."""
    helm = tools.helm()
    status = orjson.loads(
        await command(helm, "status", RELEASE, "--namespace", SYSTEM, "--output", "json")
    )
    settings = [
        word
        for name, value in values.items()
        for word in ("--set-json", f"{name}={orjson.dumps(value).decode()}")
    ]
    try:
        await command(helm, "upgrade", RELEASE, CHART, "--reuse-values", *settings, *_HERE)
        yield
    finally:
        say("The release is rolled back")
        await command(helm, "rollback", RELEASE, status["version"], *_HERE)


@asynccontextmanager
async def scaling(api: Api, name: str) -> AsyncIterator[None]:
    """Let `scale` be called; put back how many there were."""
    before = (await api.get(_scale(name)))["spec"]["replicas"]
    try:
        yield
    finally:
        await scale(api, name, before or 1)


async def scale(api: Api, name: str, replicas: int) -> None:
    """Set how many replicas run, and do not wait."""
    await api.patch(_scale(name), {"spec": {"replicas": replicas}})


async def ready_operators(api: Api, n: int, *, seconds: float = 300) -> list[str]:
    """Wait until *n* pods of the operator are there, all of them ready; return their names."""
    names: list[str] = []

    async def check() -> bool:
        pods = await replicas(api)
        names[:] = [pod["metadata"]["name"] for pod in pods if is_ready(pod)]
        return len(pods) == len(names) == n

    await until(check, what=f"{n} operators are ready", seconds=seconds)
    return names


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _scale(name: str) -> str:
    return f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{name}/scale"
