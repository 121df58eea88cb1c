"""What each request that a Run causes costs the API server, and which part of the CRD costs it.

On an etcd and a kube-apiserver alone, with nobody watching; see ../README.md.
"""

import argparse
import asyncio
import copy
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench" / "common")]

import kube_api  # noqa: E402  # shared with the tests
import kube_apiserver  # noqa: E402
import requests_of_a_run as requests  # noqa: E402

Object = dict[str, Any]
CLIENTS = 8
SETTLE = 8


def definitions() -> list[Object]:
    return [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))
    ]


def without_rules(crd: Object, *, only: str = "") -> Object:
    """Return a CRD without its CEL rules, or without those that contain a word."""

    def cut(node: Any) -> Any:
        if isinstance(node, list):
            return [cut(each) for each in node]
        if not isinstance(node, dict):
            return node
        kept = {key: cut(value) for key, value in node.items() if key != _RULES}
        rules = [rule for rule in node.get(_RULES, ()) if only and only not in rule["rule"]]
        return {**kept, _RULES: rules} if rules else kept

    changed: Object = cut(crd)
    return changed


def without_schema(crd: Object) -> Object:
    """Return a CRD that takes anything."""
    changed = copy.deepcopy(crd)
    for version in changed["spec"]["versions"]:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version["schema"]["openAPIV3Schema"] = anything
    return changed


_RULES = "x-kubernetes-validations"
VARIANTS: dict[str, Callable[[Object], Object]] = {
    "as it is": lambda crd: crd,
    "no transition rules": lambda crd: without_rules(crd, only="oldSelf"),
    "no CEL rules": without_rules,
    "no schema": without_schema,
}


async def measure(change: Callable[[Object], Object], n: int) -> dict[str, float]:
    """Return milliseconds of the API server's CPU for each request, by what was asked."""
    with tempfile.TemporaryDirectory() as folder, kube_apiserver.running(Path(folder)) as server:
        with kube_api.connected(server) as api:
            kube_api.establish(api, *(change(crd) for crd in definitions()))
        limits = httpx.Limits(max_connections=CLIENTS)
        async with httpx.AsyncClient(
            base_url=server.url,
            verify=str(server.certificate),
            headers={"Authorization": f"Bearer {server.token}"},
            limits=limits,
            timeout=60,
        ) as client:
            await asyncio.sleep(SETTLE)
            return await _costs(client, n)


async def _costs(client: httpx.AsyncClient, n: int) -> dict[str, float]:
    costs: dict[str, float] = {}
    runs = await _made(client, requests.runs(n), costs)
    for step in requests.of(runs):
        await _made(client, step, costs)
    return costs


async def _made(
    client: httpx.AsyncClient, step: requests.Step, costs: dict[str, float]
) -> list[Object]:
    clients = asyncio.Semaphore(CLIENTS)

    async def one(asked: requests.Asked) -> Object:
        async with clients:
            answer = await client.request(
                asked.method, asked.path, json=asked.body, headers=asked.headers
            )
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    before = await _cpu(client)
    made = await asyncio.gather(*(one(each) for each in step.asked))
    costs[step.name] = 1000 * (await _cpu(client) - before) / len(made)
    return made


async def _cpu(client: httpx.AsyncClient) -> float:
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith("process_cpu_seconds_total"):
            return float(line.split()[1])
    raise LookupError("/metrics has no process_cpu_seconds_total")


def shown(costs: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield a table's lines."""
    yield f"{'ms of CPU for each request':<28}" + "".join(f"{name:>21}" for name in costs)
    for what in next(iter(costs.values())):
        yield f"{what:<28}" + "".join(f"{each[what]:>21.2f}" for each in costs.values())


async def main(names: Sequence[str], n: int) -> None:
    costs = {}
    for name in names:
        print(f"  • {name}: {n} of each request", flush=True)
        costs[name] = await measure(VARIANTS[name], n)
    print("\n" + "\n".join(shown(costs)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=500, help="requests of each sort")
    options = parser.parse_args()
    asyncio.run(main(tuple(VARIANTS), options.n))
