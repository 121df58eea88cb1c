"""What the server counts, as Prometheus metrics. Labels are bounded and made at the start."""

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

PROTOCOLS: Final = ("v2", "mlflow", "other")
# What a server answers: their series exist with 0, so that the first of each can be seen.
_CODES: Final = (200, 400, 404, 405, 408, 413, 415, 422, 431, 499, 500, 503)
_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0),
)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        # They double the series, and nobody asks for them.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped there
        self.registry = registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            registry.register(collector)
        self._requests = Counter(
            "trainyard_requests",
            "Requests answered, by protocol and HTTP status.",
            ["protocol", "code"],
            registry=registry,
        )
        seconds = Histogram(
            "trainyard_request_seconds",
            "Seconds from a complete request to its response.",
            ["protocol"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._seconds = {name: seconds.labels(name) for name in PROTOCOLS}
        self._answered = {
            (protocol, code): self._requests.labels(protocol, str(code))
            for protocol in PROTOCOLS
            for code in _CODES
        }
        self._rows = Counter(
            "trainyard_predictions", "Rows predicted successfully.", registry=registry
        )
        self._failures = Counter(
            "trainyard_prediction_failures", "Requests that the model refused.", registry=registry
        )
        self._predict_seconds = self._histogram(
            "trainyard_predict_seconds", "Seconds of one call of the model.", _SECONDS
        )
        self._batch_rows = self._histogram(
            "trainyard_batch_rows", "Rows in one call of the model.", _ROWS
        )
        self._inflight = self._gauge("trainyard_inflight_requests", "Requests not yet answered.")
        self._connections = self._gauge("trainyard_open_connections", "Open client connections.")
        self._info = Gauge(
            "trainyard_model_info",
            "Always 1; the labels say which model this server has.",
            ["model", "version", "digest"],
            registry=registry,
        )
        self._load = self._gauge("trainyard_model_load_seconds", "Seconds to fetch, load, warm up.")
        self._ready = self._gauge("trainyard_ready", "1 when ready, 0 while loading or draining.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def watch(self, *, inflight: Callable[[], int], connections: Callable[[], int]) -> None:
        """Read these at each scrape, so that requests don't pay for them."""
        self._inflight.set_function(inflight)
        self._connections.set_function(connections)

    def answered(self, protocol: str, code: int, seconds: float) -> None:
        """Count one response; `protocol` is one of PROTOCOLS."""
        counter = self._answered.get((protocol, code))
        if counter is None:
            counter = self._requests.labels(protocol, str(code))
            self._answered[protocol, code] = counter
        counter.inc()
        self._seconds[protocol].observe(seconds)

    def called(self, rows: int, seconds: float) -> None:
        """Count one call of the model."""
        self._batch_rows.observe(rows)
        self._predict_seconds.observe(seconds)

    def predicted(self, rows: int) -> None:
        """Count rows of a request that succeeded."""
        self._rows.inc(rows)

    def failed(self) -> None:
        """Count a request that the model refused."""
        self._failures.inc()

    def serves(self, *, model: str, version: str, digest: str) -> None:
        """Say which model this is."""
        self._info.labels(model, version, digest).set(1)

    def loaded(self, seconds: float) -> None:
        """Say how long the model took from start to ready."""
        self._load.set(seconds)

    def ready(self, *, value: bool) -> None:
        """Say whether the server is ready."""
        self._ready.set(1 if value else 0)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, in the format that `accept` prefers."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type
