"""What a Run's token is tried on, as plain requests: from outside, and from its own pod."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from on_cluster.runs import Kubectl, Object, condition

V2 = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
PRIVATE = "/api/trainyard/v1/namespaces"
MODEL = "theirs"
NOTES = "notes.txt"

# Another Run of the namespace: logs a file and a model, and registers it.
THEIRS = f"""
import mlflow
from sklearn.dummy import DummyClassifier
with mlflow.start_run():
    mlflow.log_metric("score", 0.5)
    mlflow.log_text("theirs", "{NOTES}")
    model = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [1.0]], [0, 1])
    logged = mlflow.sklearn.log_model(model, name="model", input_example=[[0.0]])
    mlflow.register_model(logged.model_uri, "{MODEL}")
    mlflow.set_tag("model", logged.model_id)
"""

# What the code of a Run can do, told by itself as its last line.
INSIDE = """
import json, os, ssl, urllib.error, urllib.request
from pathlib import Path
import mlflow
from mlflow.exceptions import MlflowException
from requests_of_others import OTHER, REQUESTS

TRACKING = ssl.create_default_context(cafile=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"])

def status(url, method="GET", body=None, headers=None, **more):
    data = None if body is None else json.dumps(body).encode()
    said = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        return urllib.request.urlopen(said, timeout=20, **more).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0

def tracking(asked, token):
    headers = {"Content-Type": "application/json", **asked["headers"]}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    where = os.environ["MLFLOW_TRACKING_URI"] + asked["path"]
    return status(where, asked["method"], asked["body"], headers, context=TRACKING)

with mlflow.start_run() as run:
    mlflow.log_metric("score", 1)
    mlflow.log_text("mine", "notes.txt")
try:
    mlflow.get_run(OTHER)
    other = "allowed"
except MlflowException as error:
    other = error.error_code
token = os.environ["MLFLOW_TRACKING_TOKEN"]
secrets = "https://kubernetes.default.svc/api/v1/namespaces/default/secrets"
print(json.dumps({
    "statuses": {name: tracking(asked, token) for name, asked in REQUESTS.items()},
    "without a token": {name: tracking(asked, "") for name, asked in REQUESTS.items()},
    "run": run.info.run_id,
    "other by mlflow": other,
    "variables": sorted(os.environ),
    "account": Path("/var/run/secrets").exists(),
    "cluster": status(secrets, context=ssl._create_unverified_context()),
}))
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the tracking service."""

    method: str
    path: str
    body: Object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, http: httpx.Client, token: str = "") -> httpx.Response:
        """Send it with *token*, or without any."""
        login = {"Authorization": f"Bearer {token}"} if token else {}
        return http.request(
            self.method, self.path, json=self.body, headers={**self.headers, **login}
        )

    def plain(self) -> Object:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Side:
    """A Run and where its things are."""

    namespace: str
    name: str
    run_id: str
    experiment: str
    token: str
    model: str = ""

    @property
    def files(self) -> str:
        """Folder of the Run's files."""
        return f"{self.store}/{self.run_id}/artifacts"

    @property
    def store(self) -> str:
        """Folder of the Run's experiment."""
        return f"{FILES}/workspaces/{self.namespace}/{self.experiment}"

    @property
    def private(self) -> str:
        """The Run on the private routes."""
        return f"{PRIVATE}/{self.namespace}/runs/{self.run_id}"


def side_of(kube: Kubectl, http: httpx.Client, name: str, token: str) -> Side:
    """Look up a Run that is recorded, with its own token."""
    run = kube.get("run", name)
    assert condition(run, "Succeeded").get("status") == "True", run["status"]
    run_id = run["status"]["runID"]
    seen = Ask("GET", f"{V2}/runs/get?run_id={run_id}").send(http, token).json()["run"]
    tags = {tag["key"]: tag["value"] for tag in seen["data"].get("tags", [])}
    experiment = seen["info"]["experiment_id"]
    return Side(kube.namespace, name, run_id, experiment, token, tags.get("model", ""))


def own_requests(mine: Side) -> dict[str, Ask]:
    """Return requests that a Run may send: the control of those that it may not."""
    return {
        "read its run": Ask("GET", f"{V2}/runs/get?run_id={mine.run_id}"),
        "log a metric": Ask("POST", f"{V2}/runs/log-metric", metric(mine.run_id)),
        "list its files": Ask("GET", f"{V2}/artifacts/list?run_id={mine.run_id}"),
        "read its file": Ask("GET", f"{mine.files}/{NOTES}"),
        "write its file": Ask("PUT", f"{mine.files}/other.txt", {"by": "itself"}),
        "read a registered model": Ask("GET", f"{V2}/registered-models/get?name={MODEL}"),
        "read its summary": Ask("GET", f"{mine.private}/summary"),
    }


def refused_requests(theirs: Side, foreign: Side) -> dict[str, Ask]:
    """Return requests for what is another Run's, of the namespace and of another one."""
    return {
        **_runs(theirs),
        **_files(theirs),
        **_registry(theirs),
        **_elsewhere(foreign),
        **_private(theirs, foreign),
    }


def metric(run_id: str) -> Object:
    """Return a metric for a run."""
    return {"run_id": run_id, "key": "score", "value": 9, "timestamp": 1, "step": 0}


def _runs(theirs: Side) -> dict[str, Ask]:
    run = theirs.run_id
    ended = {"run_id": run, "status": "FAILED"}
    child = {"tags": [{"key": "mlflow.parentRunId", "value": run}]}
    return {
        "read a run": Ask("GET", f"{V2}/runs/get?run_id={run}"),
        "read its history": Ask("GET", f"{V2}/metrics/get-history?run_id={run}&metric_key=score"),
        "log its metric": Ask("POST", f"{V2}/runs/log-metric", metric(run)),
        "end it": Ask("POST", f"{V2}/runs/update", ended),
        "delete it": Ask("POST", f"{V2}/runs/delete", {"run_id": run}),
        "make a child of it": Ask("POST", f"{V2}/runs/create", child),
        "delete the experiment": Ask(
            "POST", f"{V2}/experiments/delete", {"experiment_id": theirs.experiment}
        ),
    }


def _files(theirs: Side) -> dict[str, Ask]:
    notes = f"{theirs.files}/{NOTES}"
    model = f"{theirs.store}/models/{theirs.model}/artifacts/MLmodel"
    return {
        "list its files": Ask("GET", f"{V2}/artifacts/list?run_id={theirs.run_id}"),
        "read its file": Ask("GET", notes),
        "write its file": Ask("PUT", notes, {"by": "somebody else"}),
        "delete its file": Ask("DELETE", notes),
        "write its model": Ask("PUT", model, {"by": "somebody else"}),
    }


def _registry(theirs: Side) -> dict[str, Ask]:
    models, versions = f"{V2}/registered-models", f"{V2}/model-versions"
    version = {"name": MODEL, "version": "1"}
    model = {"name": MODEL}
    tag = {"key": "approved", "value": "yes"}
    source = {"name": "mine", "source": f"models:/{theirs.model}", "model_id": theirs.model}
    return {
        "describe a model": Ask("PATCH", f"{models}/update", {**model, "description": "mine"}),
        "tag a model": Ask("POST", f"{models}/set-tag", {**model, **tag}),
        "rename a model": Ask("POST", f"{models}/rename", {**model, "new_name": "mine"}),
        "delete a model": Ask("DELETE", f"{models}/delete", model),
        "describe a version": Ask("PATCH", f"{versions}/update", {**version, "description": "x"}),
        "tag a version": Ask("POST", f"{versions}/set-tag", {**version, **tag}),
        "delete a version": Ask("DELETE", f"{versions}/delete", version),
        "move a stage": Ask("POST", f"{models}/alias", {**version, "alias": "production"}),
        "move a stage the old way": Ask(
            "POST", f"{versions}/transition-stage", {**version, "stage": "Production"}
        ),
        "move an alias": Ask("POST", f"{models}/alias", {**version, "alias": "favourite"}),
        "register another's model": Ask("POST", f"{versions}/create", source),
    }


def _elsewhere(foreign: Side) -> dict[str, Ask]:
    there = {"X-MLFLOW-WORKSPACE": foreign.namespace}
    run = foreign.run_id
    return {
        "read a run elsewhere": Ask("GET", f"{V2}/runs/get?run_id={run}", headers=there),
        "log a metric elsewhere": Ask("POST", f"{V2}/runs/log-metric", metric(run), there),
        "read a file elsewhere": Ask("GET", f"{foreign.files}/{NOTES}", headers=there),
        "write a file elsewhere": Ask("PUT", f"{foreign.files}/{NOTES}", {"x": 1}, there),
        "see what is elsewhere": Ask("GET", "/api/3.0/mlflow/workspaces", headers=there),
    }


def _private(theirs: Side, foreign: Side) -> dict[str, Ask]:
    body: dict[str, Any] = {"status": "FAILED", "endTime": 5}
    blob = f"sha256:{'0' * 64}"
    home, away = f"{PRIVATE}/{theirs.namespace}", f"{PRIVATE}/{foreign.namespace}"
    return {
        "read its summary": Ask("GET", f"{theirs.private}/summary"),
        "read its log": Ask("GET", f"{theirs.private}/logs/1"),
        "finish it": Ask("POST", f"{theirs.private}/finish", body),
        "list all Runs": Ask("GET", f"{home}/runs?state=active"),
        "upload code": Ask("PUT", f"{home}/blobs/{blob}", {}),
        "publish a model": Ask("PUT", f"{home}/models/{blob}", {}),
        "write the audit trail": Ask("POST", f"{home}/audit", {"model": "m", "time": "now"}),
        "read a summary elsewhere": Ask("GET", f"{foreign.private}/summary"),
        "read a log elsewhere": Ask("GET", f"{foreign.private}/logs/1"),
        "read code elsewhere": Ask("GET", f"{away}/blobs/{blob}"),
        "read a model elsewhere": Ask("GET", f"{away}/models/{blob}"),
    }
