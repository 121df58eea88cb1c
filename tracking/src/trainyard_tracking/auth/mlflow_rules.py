"""The rule of every route of MLflow 3.17. Rows only.

Parts of MLflow that would run code, hold secrets of third parties or call out are off for all:
gateway, jobs, assistant, MCP, webhooks, scorers' invocation. The UI, which asks of them by itself,
is told that there is nothing. Off are also URLs signed for the object store, which no pod and no
laptop can reach. Each route is listed; a prefix only closes.
"""

from trainyard_tracking.auth.artifact_scope import (
    NO_DOWNLOAD,
    NO_UPLOAD,
    no_multipart_download,
    no_multipart_upload,
    own_artifact_written,
    readable_artifact,
    readable_folder,
)
from trainyard_tracking.auth.registry_scope import new_version, own_version, plain_alias
from trainyard_tracking.auth.rules import Access, Path, Row, Where, row
from trainyard_tracking.auth.run_scope import (
    anything,
    child_only,
    new_logged_model,
    new_old_trace,
    new_run,
    new_trace,
    own_experiment,
    own_experiment_by_name,
    own_experiment_made,
    own_experiments,
    own_logged_model,
    own_old_trace_ended,
    own_run,
    own_run_inputs,
    own_run_outputs,
    own_run_updated,
    own_run_written,
    own_runs_found,
    own_trace,
    readable_logged_model,
)
from trainyard_tracking.auth.spans_scope import own_spans

_ALL = "GET POST PUT PATCH DELETE"
_V2 = "/api/2.0/mlflow"
_V3 = "/api/3.0/mlflow"
WORKSPACE = f"{_V3}/workspaces/{{}}"
_MODEL = f"{_V2}/logged-models/{{}}"
_FILES = "/api/2.0/mlflow-artifacts"
_NOBODY = Access.NOBODY
_KNOWN = Access.KNOWN
_STORE = Path(Where.STORE)
_STORE_FOLDER = Path(Where.STORE, "path", folder=True)


def _below(field: str, *, folder: bool = False) -> Path:
    return Path(Where.RUN, field, folder)


PAGES = (
    row("GET", "/", _KNOWN),
    row("GET", "/static-files/{...}", _KNOWN),
    row("GET", "/build/{...}", _KNOWN),
    row("GET", "/version", _KNOWN, anything),
    row("GET", "/health", Access.OPEN, anything),
    row("GET", f"{_V3}/server-info", _KNOWN, anything),
    row("GET", f"{_V3}/ui-telemetry", _KNOWN),
    row("GET", f"{_V3}/workspaces", _KNOWN),
    row("GET", WORKSPACE, "list runs"),
    row("POST PATCH DELETE", f"{_V3}/workspaces", _NOBODY, prefix=True),
    row("POST", "/graphql", "get experiments,get runs,get models,get modelversions"),
    # MLflow reads the question from a body, which a GET has not.
    row("GET", "/graphql", _NOBODY),
)

EXPERIMENTS = (
    row("POST", f"{_V2}/experiments/create", "create experiments", own_experiment_made),
    row("GET", f"{_V2}/experiments/get", "get experiments", own_experiment),
    row("GET", f"{_V2}/experiments/get-by-name", "get experiments", own_experiment_by_name),
    row("GET POST", f"{_V2}/experiments/search", "list experiments", own_experiments),
    row("POST", f"{_V2}/experiments/search-datasets", "get experiments"),
    row("POST", "/api/2.0mlflow/experiments/search-datasets", _NOBODY),
    row("POST", f"{_V2}/experiments/delete", "delete experiments"),
    row("POST", f"{_V2}/experiments/restore", "update experiments"),
    row("POST", f"{_V2}/experiments/update", "update experiments"),
    row("POST", f"{_V2}/experiments/set-experiment-tag", "update experiments"),
    row("POST", f"{_V2}/experiments/delete-experiment-tag", "update experiments"),
)

RUNS = (
    row("POST", f"{_V2}/runs/create", "create runs", new_run),
    row("POST", f"{_V2}/runs/create-promptlab-run", _NOBODY),
    row("GET", f"{_V2}/runs/get", "get runs", own_run),
    row("POST", f"{_V2}/runs/search", "list runs", own_runs_found),
    row("POST", f"{_V2}/runs/update", "update runs", own_run_updated),
    row("POST", f"{_V2}/runs/delete", "delete runs", child_only),
    row("POST", f"{_V2}/runs/restore", "update runs", child_only),
    row("POST", f"{_V2}/runs/delete-tag", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/set-tag", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/log-batch", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/log-inputs", "update runs", own_run_inputs),
    row("POST", f"{_V2}/runs/log-metric", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/log-model", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/log-parameter", "update runs", own_run_written),
    row("POST", f"{_V2}/runs/outputs", "update runs", own_run_outputs),
    row("GET", f"{_V2}/metrics/get-history", "get runs", own_run),
    row("GET", f"{_V2}/metrics/get-history-bulk", "get runs", own_run),
    row("GET", f"{_V2}/metrics/get-history-bulk-interval", "get runs", own_run),
    row("GET", f"{_V2}/artifacts/list", "get runs", own_run, path=_below("path", folder=True)),
    row("GET", "/get-artifact", "get runs", own_run, path=_below("path")),
    row("POST", f"{_V2}/upload-artifact", "update runs", path=_below("path")),
    row("POST", f"{_V2}/artifacts/presigned-download-url", _NOBODY),
    row("POST", f"{_V2}/artifacts/presigned-upload-url", _NOBODY),
)

LOGGED_MODELS = (
    row("POST", f"{_V2}/logged-models/search", "list runs", own_runs_found),
    row("POST", f"{_V2}/logged-models", "update runs", new_logged_model),
    row(
        "GET",
        f"{_MODEL}/artifacts/directories",
        "get runs",
        readable_logged_model,
        path=_below("artifact_directory_path", folder=True),
    ),
    row(
        "GET",
        f"{_MODEL}/artifacts/files",
        "get runs",
        readable_logged_model,
        path=_below("artifact_file_path"),
    ),
    row("POST", f"{_MODEL}/params", "update runs", own_logged_model),
    row("PATCH", f"{_MODEL}/tags", "update runs", own_logged_model),
    row("DELETE", f"{_MODEL}/tags/{{}}", "update runs", own_logged_model),
    row("GET", f"{_MODEL}", "get runs", readable_logged_model),
    row("PATCH", f"{_MODEL}", "update runs", own_logged_model),
    row("DELETE", f"{_MODEL}", "delete runs", own_logged_model),
)

FILES = (
    row("GET", f"{_FILES}/artifacts", "get runs", readable_folder, path=_STORE_FOLDER),
    row("GET", f"{_FILES}/artifacts/{{...}}", "get runs", readable_artifact, path=_STORE),
    row("PUT", f"{_FILES}/artifacts/{{...}}", "update runs", own_artifact_written, path=_STORE),
    row("DELETE", f"{_FILES}/artifacts/{{...}}", "delete runs", own_artifact_written, path=_STORE),
    # Refused in the words on which clients send or read a file whole.
    row("POST", f"{_FILES}/mpu/create/{{...}}", _KNOWN, no_multipart_upload, answer=NO_UPLOAD),
    row("GET", f"{_FILES}/presigned/{{...}}", _KNOWN, no_multipart_download, answer=NO_DOWNLOAD),
    row(_ALL, f"{_FILES}/mpu/", _NOBODY, prefix=True),
)

REGISTRY = (
    row("POST", f"{_V2}/registered-models/create", "create models", anything),
    row("GET", f"{_V2}/registered-models/get", "get models", anything),
    row("GET", f"{_V2}/registered-models/search", "list models", anything),
    row("GET POST", f"{_V2}/registered-models/get-latest-versions", "get models", anything),
    row("GET", f"{_V2}/registered-models/alias", "get models", anything),
    row("POST", f"{_V2}/registered-models/alias", "update models", plain_alias),
    row("DELETE", f"{_V2}/registered-models/alias", "update models"),
    row("DELETE", f"{_V2}/registered-models/delete", "delete models"),
    row("DELETE", f"{_V2}/registered-models/delete-tag", "update models"),
    row("POST", f"{_V2}/registered-models/rename", "update models"),
    row("POST", f"{_V2}/registered-models/set-tag", "update models"),
    row("PATCH", f"{_V2}/registered-models/update", "update models"),
    row("POST", f"{_V2}/model-versions/create", "create modelversions", new_version),
    row("GET", f"{_V2}/model-versions/get", "get modelversions", anything),
    row("GET", f"{_V2}/model-versions/get-download-uri", "get modelversions", anything),
    row("GET", f"{_V2}/model-versions/search", "list modelversions", anything),
    row("POST", f"{_V2}/model-versions/set-tag", "update modelversions", own_version),
    row("PATCH", f"{_V2}/model-versions/update", "update modelversions", own_version),
    row("DELETE", f"{_V2}/model-versions/delete-tag", "update modelversions", own_version),
    row("DELETE", f"{_V2}/model-versions/delete", "delete modelversions"),
    row("POST", f"{_V2}/model-versions/transition-stage", "update models"),
    row(
        "GET",
        "/model-versions/get-artifact",
        "get modelversions",
        anything,
        path=_below("path"),
    ),
)

TRACES = (
    row("POST", "/v1/traces", "update runs", own_spans),
    row("POST", f"{_V3}/traces", "update runs", new_trace),
    row("GET", f"{_V3}/traces/batchGet", "get runs", own_trace),
    row("POST", f"{_V3}/traces/batchGetInfos", "get runs", own_trace),
    row("GET", f"{_V3}/traces/get", "get runs", own_trace),
    row("POST", f"{_V3}/traces/search", "list runs"),
    row("POST", f"{_V3}/traces/metrics", "list runs"),
    row("POST", f"{_V3}/traces/calculate-filter-correlation", "list runs"),
    row("POST", f"{_V3}/traces/delete-traces", "delete runs"),
    row("GET", f"{_V3}/traces/{{}}/assessments/{{}}", "get runs", own_trace),
    row("PATCH DELETE", f"{_V3}/traces/{{}}/assessments/{{}}", "update runs", own_trace),
    row("POST", f"{_V3}/traces/{{}}/assessments", "update runs", own_trace),
    row("PATCH DELETE", f"{_V3}/traces/{{}}/tags", "update runs", own_trace),
    row("GET", f"{_V3}/traces/{{}}", "get runs", own_trace),
    row("GET", f"{_V2}/get-trace-artifact", "get runs", own_trace),
    row("GET", f"{_V3}/get-trace-artifact", "get runs", own_trace),
    row("POST", f"{_V2}/traces/link-to-run", "update runs", own_trace),
    row("POST", f"{_V2}/traces/link-prompts", "update runs"),
    row("POST", f"{_V2}/traces/delete-traces", "delete runs"),
    # What clients of MLflow 2 ask.
    row("GET", f"{_V2}/traces/{{}}/info", "get runs", own_trace),
    row("PATCH DELETE", f"{_V2}/traces/{{}}/tags", "update runs", own_trace),
    row("PATCH", f"{_V2}/traces/{{}}", "update runs", own_old_trace_ended),
    row("GET", f"{_V2}/traces", "list runs"),
    row("POST", f"{_V2}/traces", "update runs", new_old_trace),
    row("GET", f"{_V2}/get-online-trace-details", _NOBODY),
    row("GET", f"{_V2}/unified-traces", _NOBODY),
)


def _notes(family: str, reads: str, writes: str) -> tuple[Row, ...]:
    """Make the rules of a family of notes on experiments: who reads runs reads them.

    Both lists name routes below the family's as `METHOD/path`, with spaces between.
    """
    return tuple(
        row(method, f"{_V3}/{family}{slash}{path}", right)
        for right, listed in (("get runs", reads), ("update runs", writes))
        for method, slash, path in (route.partition("/") for route in listed.split())
    )


NOTES = (
    row("GET POST", f"{_V3}/datasets/search", "list runs"),
    row("POST", f"{_V3}/issues/search", "list runs"),
    # Would start a run in the server's own thread, and a job.
    row("POST", f"{_V3}/issues/invoke", _NOBODY),
    # When such jobs run; the page does without an answer.
    row("POST", f"{_V3}/issues/schedule/state", _NOBODY),
    *_notes(
        "datasets",
        "GET/{} GET/{}/experiment-ids GET/{}/records",
        "POST/create DELETE/{} POST/{}/add-experiments POST/{}/remove-experiments POST/{}/records"
        " DELETE/{}/records PATCH/{}/tags DELETE/{}/tags/{}",
    ),
    *_notes("issues", "GET/{}", "POST PATCH/{}"),
    *_notes(
        "label-schemas",
        "GET/get GET/get-by-name GET/list",
        "POST/create PATCH/update DELETE/delete",
    ),
    *_notes(
        "review-queues",
        "GET/get GET/get-by-name GET/list GET/items/list",
        "POST/create POST/update POST/delete POST/get-or-create-user POST/items/add"
        " POST/items/remove POST/items/set-status",
    ),
    *_notes(
        "scorers",
        "GET/get GET/list GET/versions GET/online-configs",
        "POST/register DELETE/delete PUT/online-config",
    ),
)

# What the UI asks by itself, on pages that have another purpose, of parts that are off: a
# refusal would stand in red on every visit.
QUIET = tuple(
    row(method, path, _KNOWN, answer=answer)
    for method, path, answer in (
        ("POST", f"{_V3}/ui-telemetry", {"status": "disabled"}),
        ("GET", f"{_V2}/gateway-proxy", {"endpoints": []}),
        ("GET", f"{_V2}/webhooks", {"webhooks": []}),
        ("GET", f"{_V3}/assistant/config", {"providers": {}, "projects": {}}),
        ("GET", f"{_V3}/assistant/providers", {"providers": [], "resolved": None}),
        ("GET", f"{_V3}/gateway/budgets/list", {"budget_policies": []}),
        ("GET", f"{_V3}/gateway/budgets/windows", {"windows": []}),
        ("GET", f"{_V3}/gateway/endpoints/bindings/list", {"bindings": []}),
        ("GET", f"{_V3}/gateway/endpoints/list", {"endpoints": []}),
        ("GET", f"{_V3}/gateway/guardrails/list", {"guardrails": []}),
        ("GET", f"{_V3}/gateway/model-definitions/list", {"model_definitions": []}),
        ("GET", f"{_V3}/gateway/secrets/config", {"secrets_available": False}),
        ("GET", f"{_V3}/gateway/secrets/list", {"secrets": []}),
        ("GET", f"{_V3}/gateway/supported-models", {"models": []}),
        ("GET", f"{_V3}/gateway/supported-providers", {"providers": []}),
        ("GET", f"{_V3}/mcp-servers", {"mcp_servers": []}),
        ("GET", f"{_V3}/mcp-servers/endpoints", {"mcp_access_endpoints": []}),
        ("POST", f"{_V3}/prompt-optimization/jobs/search", {"jobs": []}),
    )
)

OFF = tuple(
    row(_ALL, path, _NOBODY, prefix=True)
    for path in (
        "/gateway/",
        f"{_V2}/gateway-proxy",
        f"{_V2}/webhooks",
        "/api/3.0/jobs",
        f"{_V3}/assistant",
        f"{_V3}/demo",
        f"{_V3}/gateway",
        f"{_V3}/genai",
        f"{_V3}/jobs",
        f"{_V3}/mcp-servers",
        f"{_V3}/prompt-optimization",
        f"{_V3}/scorer/",
        f"{_V3}/skills",
    )
)

MLFLOW_ROWS = (
    *PAGES,
    *EXPERIMENTS,
    *RUNS,
    *LOGGED_MODELS,
    *FILES,
    *REGISTRY,
    *TRACES,
    *NOTES,
    *QUIET,
    *OFF,
)
