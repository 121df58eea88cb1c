"""Prometheus names and help texts, all of them: controller-runtime's, so dashboards fit.

Only declarations; whoever does the counted thing counts it.
"""

import functools

from prometheus_client import Counter, Gauge, Histogram
from trainyard_api.conditions import FinalReason

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAITS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0)

RECONCILE_TOTAL = Counter(
    "controller_runtime_reconcile_total",
    "Reconciliations by kind and result (success, requeue_after, requeue, error)",
    ["controller", "result"],
)
RECONCILE_ERRORS = Counter(
    "controller_runtime_reconcile_errors_total",
    "Reconciliations that failed, by kind",
    ["controller"],
)
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Seconds per reconciliation",
    ["controller"],
    buckets=_SECONDS,
)
ACTIVE_WORKERS = Gauge(
    "controller_runtime_active_workers", "Reconciliations going on", ["controller"]
)
QUEUE_DEPTH = Gauge("workqueue_depth", "Keys that wait to be looked at", ["name"])
QUEUE_ADDS = Counter("workqueue_adds_total", "Keys added to the queue", ["name"])
QUEUE_RETRIES = Counter("workqueue_retries_total", "Keys added again after a failure", ["name"])
QUEUE_SECONDS = Histogram(
    "workqueue_queue_duration_seconds", "Seconds that keys waited", ["name"], buckets=_WAITS
)
REST_REQUESTS = Counter(
    "rest_client_requests_total", "Requests to the API server", ["code", "method"]
)
TRACKING_REQUESTS = Counter(
    "trainyard_tracking_client_requests_total",
    "Requests to the tracking service",
    ["code", "method"],
)
LEADER = Gauge("leader_election_master_status", "1 if this replica leads", ["name"])
CACHED = Gauge("trainyard_cache_objects", "Watched objects in memory", ["resource"])
FINISHED_RUNS = Counter("trainyard_runs_finished_total", "Runs that ended, by reason", ["reason"])
# With 0 from the start: else the first of its kind is invisible to increase().
for _reason in FinalReason:
    FINISHED_RUNS.labels(str(_reason))

# Asked for some sixty times a Run, and each look for a child takes 3 µs and a lock.
for _metric in (
    RECONCILE_TOTAL,
    RECONCILE_SECONDS,
    ACTIVE_WORKERS,
    QUEUE_DEPTH,
    QUEUE_ADDS,
    QUEUE_SECONDS,
    REST_REQUESTS,
    TRACKING_REQUESTS,
    CACHED,
):
    _metric.labels = functools.cache(_metric.labels)  # type: ignore[assignment, method-assign]

LOG_BYTES = Counter("trainyard_log_bytes_total", "Bytes of Runs' output shipped to tracking")
