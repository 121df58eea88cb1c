"""A Run as the tracking service's tests see it: what its own token does."""

import itertools

from builders.tracking import bearer

V2 = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
_IDS = itertools.count(0x9000)


class Side:
    """A Run with a logged model and an artifact."""

    def __init__(self, world, namespace="team", experiment="digits"):
        self.world = world
        self.run_id = f"{next(_IDS):032x}"
        self.name = f"side-{self.run_id[-4:]}"
        token = world.record(self.run_id, self.name, namespace=namespace, experiment=experiment)
        self.headers = bearer(token)
        experiment_of = self.get(f"{V2}/runs/get?run_id={self.run_id}").json()
        self.experiment = experiment_of["run"]["info"]["experiment_id"]
        model = self.post(f"{V2}/logged-models", {"name": "model", "experiment_id": "0"}).json()
        self.model = model["model"]["info"]["model_id"]
        self.files = f"{FILES}/workspaces/{namespace}/{self.experiment}"
        self.send("PUT", f"{self.files}/{self.run_id}/artifacts/a.txt", content=b"a")
        self.send("PUT", f"{self.files}/models/{self.model}/artifacts/MLmodel", content=b"m")

    def send(self, method, path, **more):
        headers = {**self.headers, **more.pop("headers", {})}
        return self.world.client.request(method, path, headers=headers, **more)

    def get(self, path):
        return self.send("GET", path)

    def post(self, path, body):
        return self.send("POST", path, json=body)

    def trace(self, trace_id, **more):
        """Begin a trace in its experiment; *more* is of the trace's info."""
        location = {"experiment_id": self.experiment}
        info = {
            "trace_id": trace_id,
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": location},
            "request_time": "2026-11-27T00:00:00Z",
            "state": "OK",
            **more,
        }
        made = self.post("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})
        assert made.status_code == 200, made.text
