"""What the API server and the operator have counted so far, read from their /metrics."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api import Api, BenchError, Object

SYSTEM = "trainyard-system"
WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
SAMPLE_SECONDS = 2
SELECTOR = "app.kubernetes.io%2Fcomponent%3Doperator"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters, or how much they grew.

    Attributes:
        writes: Requests of everybody that the API server counted, by verb and resource.
        requests: Requests to the API server that the operator counted, by method.
        operator: The operator's other counters.
        api_cpu: CPU seconds of the API server.
    """

    writes: Counts
    requests: Counts
    operator: Counts
    api_cpu: float

    def since(self, earlier: "Reading") -> "Reading":
        """Return the growth.

        Raises:
            BenchError: The operator's counters began anew.
        """
        if self.operator["cpu"] < earlier.operator["cpu"]:
            raise BenchError("the operator was restarted during the measurement: see its log")
        return Reading(
            _growth(self.writes, earlier.writes),
            _growth(self.requests, earlier.requests),
            _growth(self.operator, earlier.operator),
            self.api_cpu - earlier.api_cpu,
        )


def _growth(new: Counts, old: Counts) -> Counts:
    return {key: value - old.get(key, 0) for key, value in new.items() if value != old.get(key, 0)}


@dataclass(slots=True)
class Operator:
    """The operator that leads, behind the API server's proxy of pods."""

    api: Api
    pod: str
    image: str
    peak: float = field(default=0.0)

    async def metrics(self) -> str:
        """Read /metrics, and keep the largest resident memory seen, in MiB."""
        text = await self.api.text(metrics_of(self.pod))
        self.peak = max(self.peak, total(text, "process_resident_memory_bytes") / 2**20)
        return text

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at its memory now and then."""
        self.peak = 0.0
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            await self.metrics()


async def replicas(api: Api) -> list[Object]:
    """Return the operator's pods."""
    pods = await api.get(f"/api/v1/namespaces/{SYSTEM}/pods?labelSelector={SELECTOR}")
    return list(pods["items"])


async def find_operator(api: Api) -> Operator:
    """Return the replica that leads.

    Raises:
        BenchError: There is none.
    """
    for pod in await replicas(api):
        if pod["status"]["phase"] != "Running" or "deletionTimestamp" in pod["metadata"]:
            continue
        name = pod["metadata"]["name"]
        if total(await api.text(metrics_of(name)), "leader_election_master_status"):
            return Operator(api, name, pod["spec"]["containers"][0]["image"])
    raise BenchError(f"no operator leads in {SYSTEM}: run `make install`")


async def read(api: Api, operator: Operator) -> Reading:
    """Read all counters."""
    everybody, own = await asyncio.gather(api.text("/metrics"), operator.metrics())
    return Reading(
        writes=_writes(everybody),
        requests=_requests(own),
        operator={
            "cpu": total(own, "process_cpu_seconds_total"),
            "reconciles": total(own, "controller_runtime_reconcile_total", controller="runs"),
            "tracking calls": total(own, "trainyard_tracking_client_requests_total"),
            "log bytes": total(own, "trainyard_log_bytes_total"),
        },
        api_cpu=total(everybody, "process_cpu_seconds_total"),
    )


def metrics_of(pod: str) -> str:
    return f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8081/proxy/metrics"


def samples(text: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for line in text.splitlines():
        found = _SAMPLE.match(line) if line.startswith(name) else None
        if found and found[1] == name:
            yield dict(_LABEL.findall(found[2] or "")), float(found[3])


def total(text: str, name: str, **labels: str) -> float:
    return sum(value for held, value in samples(text, name) if labels.items() <= held.items())


def _requests(text: str) -> Counts:
    found: dict[str, float] = defaultdict(float)
    for labels, value in samples(text, "rest_client_requests_total"):
        found[labels["method"]] += value
    return found


def _writes(text: str) -> Counts:
    """Count by `VERB resource/subresource.group`, whatever came of the requests."""
    found: dict[str, float] = defaultdict(float)
    for labels, value in samples(text, "apiserver_request_total"):
        if labels["verb"] in WRITES:
            resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
            resource = ".".join(filter(None, (resource, labels["group"])))
            found[f"{labels['verb']} {resource}"] += value
    return found
