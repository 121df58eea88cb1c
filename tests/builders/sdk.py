"""A small API server on 127.0.0.1 for the SDK: resources, watches, pod logs, tracking.

In memory, and only as much of the real ones' behaviour as the tests state.
"""

import base64
import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from builders import threaded

API = "/apis/trainyard.dev/v1alpha1"
SERVICE = "/api/v1/namespaces/trainyard-system/services/https:trainyard-tracking:5000/proxy"
PLAIN = SERVICE.replace("https:", "http:")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/trainyard-system/leases"
NAMESPACE = "dev"
USER = "ada@example.com"


class FakeCluster:
    """What the server knows; tests write into it and read from it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.recorded_logs: dict[tuple[str, str], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.logged_models: dict[str, list[dict[str, Any]]] = {}
        self.mlflow_runs: dict[str, dict[str, Any]] = {}
        self.mlflow_experiments: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.leases: dict[str, dict[str, Any]] = {}
        self.token_requests: list[dict[str, Any]] = []
        self.forbidden: set[str] = set()
        self.speaks_plain = False
        self.outages: list[Callable[[Any], bool]] = []
        self.version = 0

    def put(self, plural: str, body: dict[str, Any], event: str = "MODIFIED") -> dict[str, Any]:
        """Store an object as somebody else would, and tell those who watch."""
        made = "2026-01-02T03:04:05Z"
        if event == "ADDED":
            made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        with self.changed:
            self.version += 1
            stored = json.loads(json.dumps(body))
            metadata = stored.setdefault("metadata", {})
            metadata.setdefault("namespace", NAMESPACE)
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("generation", 1)
            metadata.setdefault("creationTimestamp", made)
            metadata["resourceVersion"] = str(self.version)
            key = (plural, metadata["name"])
            if event == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = stored
            self.events.append((plural, event, stored))
            self.changed.notify_all()
            return stored


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: FakeCluster

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        self.path_only, self.query = unquote(parts.path), parse_qs(parts.query)
        self.cluster.requests.append((self.command, self.path, dict(self.headers)))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        if not (self.cluster.outages and self.cluster.outages.pop(0)(self)):
            self.dispatch()

    def dispatch(self) -> None:
        for prefix in self.cluster.forbidden:
            if self.path_only.startswith(prefix):
                self.fail(403, "Forbidden", 'pods "x" is forbidden: User cannot get pods/log')
                return
        # As its proxy does that asks a service by another scheme than the service speaks.
        wrong, right = (SERVICE, PLAIN) if self.cluster.speaks_plain else (PLAIN, SERVICE)
        if self.path_only.startswith(wrong):
            self.fail(503, "ServiceUnavailable", "error trying to reach service: EOF")
            return
        self.path_only = self.path_only.replace(right, SERVICE, 1)
        for pattern, handler in _ROUTES:
            if found := re.fullmatch(pattern, self.path_only):
                handler(self, *found.groups())
                return
        self.fail(404, "NotFound", "the server could not find the requested resource")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its base's name
        """Say nothing."""

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def give(self, body: object, status: int = 200) -> None:
        self.answer(status, json.dumps(body).encode())

    def fail(self, status: int, reason: str, message: str, **details: Any) -> None:
        said = {"kind": "Status", "reason": reason, "message": message, "details": details}
        self.give(said, status)

    def collection(self, namespace: str, plural: str) -> None:
        if self.command == "POST":
            self.create(plural)
        elif "watch" in self.query:
            self.watch(plural)
        else:
            items = [o for (p, _), o in self.cluster.objects.items() if p == plural]
            items = [item for item in items if self.selected(item)]
            version = str(self.cluster.version)
            self.give({"items": items, "metadata": {"resourceVersion": version}})

    def selected(self, item: dict[str, Any]) -> bool:
        selector = self.query.get("fieldSelector", [""])[0]
        return not selector or selector == f"metadata.name={item['metadata']['name']}"

    def create(self, plural: str) -> None:
        body = json.loads(self.body)
        metadata = body["metadata"]
        metadata.setdefault("name", metadata.get("generateName", "") + "x7k2p")
        if (plural, metadata["name"]) in self.cluster.objects:
            self.fail(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
        elif metadata["name"] == "invalid":
            cause = {"field": "spec.timeout", "message": "Invalid value: must be a duration"}
            self.fail(422, "Invalid", "Run is invalid", causes=[cause])
        elif "dryRun" in self.query:
            self.give(body, 201)
        else:
            self.give(self.cluster.put(plural, body, "ADDED"), 201)

    def watch(self, plural: str) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        seen = int(self.query["resourceVersion"][0] or 0)
        deadline = time.monotonic() + float(self.query["timeoutSeconds"][0])
        while time.monotonic() < deadline:
            with self.cluster.changed:
                fresh = [
                    (event, item)
                    for kind, event, item in self.cluster.events
                    if kind == plural
                    and int(item["metadata"]["resourceVersion"]) > seen
                    and self.selected(item)
                ]
                if not fresh:
                    self.cluster.changed.wait(0.2)
                    continue
            for event, item in fresh:
                seen = max(seen, int(item["metadata"]["resourceVersion"]))
                line = json.dumps({"type": event, "object": item}).encode() + b"\n"
                try:
                    self.wfile.write(line)
                except OSError:
                    return

    def resource(self, namespace: str, plural: str, name: str) -> None:
        item = self.cluster.objects.get((plural, name))
        if item is None:
            self.fail(404, "NotFound", f'{plural} "{name}" not found', name=name)
        elif self.command == "DELETE":
            meant = json.loads(self.body or b"{}").get("preconditions", {})
            if meant.get("uid", item["metadata"]["uid"]) != item["metadata"]["uid"]:
                self.fail(409, "Conflict", "Precondition failed: UID in precondition")
                return
            self.cluster.put(plural, item, "DELETED")
            self.give({"kind": "Status", "status": "Success"})
        elif self.command == "PATCH":
            self.patch(plural, item)
        else:
            self.give(item)

    def patch(self, plural: str, item: dict[str, Any]) -> None:
        changed = json.loads(json.dumps(item))
        try:
            for operation in json.loads(self.body):
                _apply(changed, operation)
        except (KeyError, AssertionError):
            message = "the server rejected our request due to an error in our request"
            self.fail(422, "Invalid", message)
            return
        changed["metadata"]["generation"] += 1
        self.give(self.cluster.put(plural, changed))

    def who(self) -> None:
        self.give({"status": {"userInfo": {"username": USER}}}, 201)

    def token(self, account: str) -> None:
        self.cluster.token_requests.append(json.loads(self.body))
        self.give({"status": {"token": f"token-of-{account}"}}, 201)

    def namespaces(self) -> None:
        self.give({"items": [{"metadata": {"name": NAMESPACE}}]})

    def namespace(self, name: str) -> None:
        if name == NAMESPACE:
            self.give({"metadata": {"name": name}})
        else:
            self.fail(404, "NotFound", f'namespaces "{name}" not found', name=name)

    def no_events(self) -> None:
        self.give({"items": []})

    def lease(self, name: str) -> None:
        if name in self.cluster.leases:
            self.give(self.cluster.leases[name])
        else:
            self.fail(404, "NotFound", f'leases "{name}" not found', name=name)

    def version_info(self) -> None:
        self.give({"gitVersion": "v1.37.2"})

    def blob(self, digest: str) -> None:
        if self.command == "PUT":
            assert f"sha256:{hashlib.sha256(self.body).hexdigest()}" == digest
            self.cluster.blobs[digest] = self.body
            self.answer(201, b"{}")
        elif digest in self.cluster.blobs:
            self.answer(200, self.cluster.blobs[digest])
        else:
            self.give({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such blob"}, 404)

    def recorded_log(self, run_id: str, attempt: str) -> None:
        log = self.cluster.recorded_logs.get((run_id, attempt))
        if log is None:
            self.give({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no log"}, 404)
            return
        self.answer(200, log[int(self.query.get("offset", ["0"])[0]) :], "text/plain")

    def summary(self, run_id: str) -> None:
        self.give({"models": self.cluster.logged_models.get(run_id, [])})

    def mlflow_run(self) -> None:
        self.give({"run": self.cluster.mlflow_runs[self.query["run_id"][0]]})

    def search(self) -> None:
        """Find runs that lack a tag: the one filter that is asked for."""
        (without,) = re.findall("tags.`(.+)` IS NULL", json.loads(self.body)["filter"])
        runs = self.cluster.mlflow_runs.values()
        self.give({"runs": [run for run in runs if without not in str(run["data"].get("tags"))]})

    def mlflow_experiment(self) -> None:
        name = self.query["experiment_name"][0]
        if name in self.cluster.mlflow_experiments:
            self.give({"experiment": {"experiment_id": self.cluster.mlflow_experiments[name]}})
        else:
            said = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no experiment"}
            self.give(said, 404)

    def echo(self, route: str) -> None:
        said = {"route": route, "method": self.command, "headers": dict(self.headers)}
        said["body"] = base64.b64encode(self.body).decode()
        self.give(said)

    def infer(self, name: str, route: str) -> None:
        self.give({"deployment": name, "route": route, "body": json.loads(self.body)})


_ROUTES = [
    (rf"{API}/namespaces/([^/]+)/([^/]+)", _Handler.collection),
    (rf"{API}/namespaces/([^/]+)/([^/]+)/([^/]+)", _Handler.resource),
    (r"/apis/authentication.k8s.io/v1/selfsubjectreviews", _Handler.who),
    (r"/api/v1/namespaces/trainyard-system/serviceaccounts/([^/]+)/token", _Handler.token),
    (rf"{LEASES}/([^/]+)", _Handler.lease),
    (r"/version", _Handler.version_info),
    (r"/api/v1/namespaces", _Handler.namespaces),
    (r"/api/v1/namespaces/([^/]+)", _Handler.namespace),
    (r"/api/v1/namespaces/[^/]+/events", _Handler.no_events),
    (rf"{SERVICE}/api/trainyard/v1/namespaces/[^/]+/blobs/([^/]+)", _Handler.blob),
    (
        rf"{SERVICE}/api/trainyard/v1/namespaces/[^/]+/runs/([^/]+)/logs/([^/]+)",
        _Handler.recorded_log,
    ),
    (rf"{SERVICE}/api/trainyard/v1/namespaces/[^/]+/runs/([^/]+)/summary", _Handler.summary),
    (rf"{SERVICE}/api/2.0/mlflow/runs/get", _Handler.mlflow_run),
    (rf"{SERVICE}/api/2.0/mlflow/runs/search", _Handler.search),
    (rf"{SERVICE}/api/2.0/mlflow/experiments/get-by-name", _Handler.mlflow_experiment),
    (rf"{SERVICE}(/.*)", _Handler.echo),
    (r"/api/v1/namespaces/[^/]+/services/http:([^/]+):80/proxy(/.*)", _Handler.infer),
]


def _apply(item: Any, operation: dict[str, Any]) -> None:
    *path, last = operation["path"].strip("/").split("/")
    for step in path:
        item = item[step]
    if operation["op"] == "test":
        assert item[last] == operation["value"]
    elif operation["op"] == "remove":
        del item[last]
    else:
        assert operation["op"] == "add" or last in item
        item[last] = operation["value"]


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """Serve *cluster*; yields the URL."""
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away, as tests tell them to
    server.block_on_close = False
    with threaded.running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def write_kubeconfig(path: Path, server: str, *, token: str = "secret") -> Path:
    """Write a kubeconfig for *server*; without a token it is as with a client certificate."""
    user = {"token": token} if token else {}
    context = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "test", "context": context}],
            }
        )
    )
    return path


def condition(kind: str, status: str, reason: str = "Because", message: str = "") -> dict[str, Any]:
    """Return a condition about generation 1."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "observedGeneration": 1,
    }


def run_object(name: str, **status: Any) -> dict[str, Any]:
    """Return a Run with this status."""
    spec = {"command": ["python", "train.py"], "runtime": "sklearn", "parameters": {"depth": 2}}
    return {"kind": "Run", "metadata": {"name": name}, "spec": spec, "status": status}


def finished(name: str, *, good: bool = True, code: int = 0, **status: Any) -> dict[str, Any]:
    """Return a Run that has ended after one attempt, well or badly."""
    reason = "Completed" if good else "ExitCode"
    said = "" if good else f"The program ended with exit code {code}"
    attempt = {"number": 1, "job": f"{name}-a1", "pod": f"{name}-a1-0", "exitCode": code}
    return run_object(
        name,
        phase="Succeeded" if good else "Failed",
        runID="a" * 32,
        attempts=[{**attempt, "completionTime": "2026-01-02T03:05:05Z"}],
        conditions=[
            condition("Finished", "True", reason, said),
            condition("Succeeded", "True" if good else "False", reason, said),
            condition("Recorded", "True", "Recorded"),
        ],
        **status,
    )


def model_object(name: str, *, generation: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a Model with a gated stage, production; *fields* are of its spec, or `status`."""
    spec: dict[str, Any] = {"stages": [{"name": "production", "promotion": "approval"}]}
    spec |= {field: value for field, value in fields.items() if field != "status"}
    metadata = {"name": name, "generation": generation}
    return {
        "kind": "Model",
        "metadata": metadata,
        "spec": spec,
        "status": {"observedGeneration": generation, **fields.get("status", {})},
    }
