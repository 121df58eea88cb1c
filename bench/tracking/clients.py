"""What runs in the pod: clients that log as autologging does, beside large files and searches.

Prints one line of JSON: for each kind of call how many there were, how long they took, and what
failed. A call that was told to come back later (429, 503) does so, as MLflow's clients do.
"""

import asyncio
import collections
import json
import os
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
TRIES = 7
BLOCK = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Tally:
    """Seconds of each kind of call, and what failed."""

    took: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    put_off: collections.Counter[str] = field(default_factory=collections.Counter)
    moved: dict[str, float] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {
            "calls": {name: _spread(each) for name, each in self.took.items()},
            "failed": dict(self.failed),
            "told to come back": dict(self.put_off),
            "MiB per s": self.moved,
        }


@dataclass
class Client:
    """Somebody with a token, in a workspace."""

    session: aiohttp.ClientSession
    tally: Tally

    async def call(self, kind: str, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Send a call, again if told so; return its JSON, None if it failed."""
        begun = time.monotonic()
        for attempt in range(TRIES):
            try:
                async with self.session.request(method, path, json=body) as response:
                    text = await response.text()
            except (aiohttp.ClientError, TimeoutError) as exc:
                self.tally.put_off[f"{kind}: {type(exc).__name__}"] += 1
                await asyncio.sleep(min(2**attempt, 15))
                continue
            if response.status in {429, 503}:
                self.tally.put_off[f"{kind}: {response.status}"] += 1
                await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
                continue
            self.tally.took[kind].append(time.monotonic() - begun)
            if response.status >= 400:
                self.tally.failed[f"{kind}: {response.status} {text[:200]}"] += 1
                return None
            return json.loads(text or "{}")
        self.tally.failed[f"{kind}: no answer after {TRIES} tries"] += 1
        return None

    async def train(self, experiment: str, number: int, end: float, every: float) -> None:
        """Log one run after another until the end."""
        await asyncio.sleep(every * (number % 60) / 60)
        while time.time() < end:
            await self._one(experiment, number, end, every)

    async def _one(self, experiment: str, number: int, end: float, every: float) -> None:
        body = {"experiment_id": experiment, "start_time": _now(), "run_name": f"client-{number}"}
        made = await self.call("runs/create", f"{API}/runs/create", body)
        if made is None:
            return
        info = made["run"]["info"]
        run = {"run_id": info["run_id"]}
        params = [{"key": f"p{n}", "value": str(n)} for n in range(30)]
        await self.call("log-batch", f"{API}/runs/log-batch", run | {"params": params})
        await self.call("log-inputs", f"{API}/runs/log-inputs", run | {"datasets": [_DATASET]})
        for step in range(20):
            if time.time() >= end:
                break
            await asyncio.sleep(every)
            metrics = [_metric(n, step) for n in range(5)]
            await self.call("log-batch", f"{API}/runs/log-batch", run | {"metrics": metrics})
        tag = run | {"key": "estimator_name", "value": "SGD"}
        await self.call("set-tag", f"{API}/runs/set-tag", tag)
        folder = info["artifact_uri"].partition(":/")[2].lstrip("/")
        await self.call("put artifact", f"{FILES}{folder}/summary.json", {"a": 1}, method="PUT")
        done = run | {"status": "FINISHED", "end_time": _now()}
        await self.call("runs/update", f"{API}/runs/update", done)

    async def search(self, experiment: str, times: int, seconds: float) -> None:
        """Search as the UI does."""
        for n in range(times):
            body = {
                "experiment_ids": [experiment],
                "filter": f"metrics.m0 > {n / 10} and params.p1 = '1'",
                "order_by": ["metrics.m1 DESC"],
                "max_results": 100,
            }
            await self.call("runs/search", f"{API}/runs/search", body)
            await asyncio.sleep(seconds / times)

    async def upload(self, folder: str, mebibytes: int) -> None:
        await self._move("upload", "PUT", f"{FILES}{folder}/large.bin", mebibytes)

    async def download(self, folder: str, mebibytes: int) -> None:
        await self._move("download", "GET", f"{FILES}{folder}/large.bin", mebibytes)

    async def _move(self, kind: str, method: str, path: str, mebibytes: int) -> None:
        begun, got = time.monotonic(), 0
        data = _blocks(mebibytes) if method == "PUT" else None
        headers = {"Content-Length": str(mebibytes << 20)} if data else {}
        limits = aiohttp.ClientTimeout(total=None, sock_read=300)
        try:
            async with self.session.request(
                method, path, data=data, headers=headers, timeout=limits
            ) as response:
                async for block in response.content.iter_chunked(1 << 20):
                    got += len(block)
        except (aiohttp.ClientError, TimeoutError) as exc:
            self.tally.failed[f"{kind}: {type(exc).__name__} {exc}"] += 1
            return
        if response.status >= 400 or (method == "GET" and got != mebibytes << 20):
            self.tally.failed[f"{kind}: {response.status}, {got} bytes"] += 1
        self.tally.moved[kind] = mebibytes / (time.monotonic() - begun)


async def _blocks(mebibytes: int) -> AsyncIterator[bytes]:
    for _ in range(mebibytes):
        yield BLOCK


def _metric(n: int, step: int) -> dict[str, Any]:
    return {"key": f"m{n}", "value": step + n / 10, "timestamp": _now(), "step": step}


_DATASET = {
    "tags": [{"key": "mlflow.data.context", "value": "training"}],
    "dataset": {"name": "d", "digest": "1", "source_type": "local", "source": "{}"},
}


def _now() -> int:
    return int(time.time() * 1000)


def _spread(values: list[float]) -> dict[str, float]:
    centiles = statistics.quantiles([*values] * 2, n=100, method="inclusive")
    found = {"n": len(values), "p50": centiles[49], "p99": centiles[98], "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


async def play(options: dict[str, Any]) -> dict[str, Any]:
    """Have all of it at the same time; return the figures."""
    tally = Tally()
    headers = {
        "Authorization": f"Bearer {os.environ['TOKEN']}",
        "X-MLFLOW-WORKSPACE": options["namespace"],
    }
    trusted = ssl.create_default_context(cadata=options["authority"])
    connector = aiohttp.TCPConnector(limit=0, ssl=trusted)
    limits = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        options["url"], headers=headers, connector=connector, timeout=limits
    ) as session:
        client = Client(session, tally)
        made = await client.call("experiments", f"{API}/experiments/create", {"name": "load"})
        experiment = made["experiment_id"]
        holder = await client.call(
            "runs/create", f"{API}/runs/create", {"experiment_id": experiment, "start_time": 1}
        )
        folder = holder["run"]["info"]["artifact_uri"].partition(":/")[2].lstrip("/")
        seconds, size = options["seconds"], options["mebibytes"]
        if size:
            await client.upload(folder, size)  # what is downloaded later
        tally.moved.clear()
        end = time.time() + seconds
        work = [
            client.train(experiment, n, end, options["every"]) for n in range(options["clients"])
        ]
        work.append(client.search(experiment, options["searches"], seconds))
        if size:
            work += [client.upload(f"{folder}/again", size), client.download(folder, size)]
        await asyncio.gather(*work)
        for name in ("large.bin", "again/large.bin") if size else ():
            await client.call("delete artifact", f"{FILES}{folder}/{name}", method="DELETE")
    return tally.told()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play(json.loads(sys.argv[1])))), flush=True)
