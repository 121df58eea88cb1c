"""A Run of several attempts, as the operator records it and as its program logs to it."""

import itertools
from typing import Any

from trainyard_api.attempts import attempt_run_id

from builders.tracking import OPERATOR, bearer, run_token

V2 = "/api/2.0/mlflow"
API = "/api/trainyard/v1/namespaces/team"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
URI = "mlflow-artifacts:/"
PARENT = "mlflow.parentRunId"
KEPT = {"trainyard.run": "fit", "trainyard.namespace": "team"}
_IDS = itertools.count(0xA000)


class Run:
    """A Run, as the operator records it and as its program logs to it."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.id = f"{next(_IDS):032x}"
        self.own = bearer(run_token(self.id, "fit"))
        self.begin(1)

    def begin(self, attempt: int | None, **more: Any) -> Any:
        body = {"name": "fit", "experiment": "attempts", "startTime": 1_700_000_000_000}
        body |= {"tags": KEPT, "parameters": {"depth": 3, "warm": True}, "attempt": attempt} | more
        sent = {key: value for key, value in body.items() if value is not None}
        path = f"{API}/runs/{self.id}"
        answer = self.world.client.put(path, json=sent, headers=bearer(OPERATOR))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finish(self, **more: Any) -> Any:
        body = {"status": "FINISHED", "endTime": 1_800_000_000_000, **more}
        path = f"{API}/runs/{self.id}/finish"
        answer = self.world.client.post(path, json=body, headers=bearer(OPERATOR))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, version: str = "2.0") -> Any:
        where = f"/api/{version}/mlflow/{path}"
        answer = self.world.client.post(where, json=body, headers=self.own)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, name: str = "") -> str:
        """Start a run as MLflow's client does; give its id."""
        made = self.post("runs/create", {"run_name": name} if name else {})
        return str(made["run"]["info"]["run_id"])

    def log(self, number: int) -> None:
        """Log what an attempt logs: params, a curve, a tag, a file."""
        metrics = [
            {"key": "loss", "value": number + step, "timestamp": step, "step": step}
            for step in range(3)
        ]
        params = [{"key": "seed", "value": str(number)}, {"key": f"only{number}", "value": "1"}]
        tags = [{"key": "note", "value": str(number)}, {"key": "mlflow.runName", "value": "mine"}]
        batch = {"run_id": self.id, "metrics": metrics, "params": params, "tags": tags}
        self.post("runs/log-batch", batch)
        self.put_file("weights", str(number))

    def put_file(self, name: str, content: str) -> None:
        where = f"{self.folder(self.id)}/{name}"
        answer = self.world.client.put(where, content=content.encode(), headers=self.own)
        assert answer.status_code == 200, answer.text

    def folder(self, run_id: str) -> str:
        """Give the route of a run's artifacts, as clients make it of the run's URI."""
        return FILES + str(self.shown(run_id)["info"]["artifact_uri"]).removeprefix(URI)

    def get(self, path: str) -> Any:
        return self.world.client.get(path, headers=self.own)

    def shown(self, run_id: str = "") -> Any:
        """Give a run as its program sees it."""
        answer = self.get(f"{V2}/runs/get?run_id={run_id or self.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["run"]

    def curve(self, run_id: str = "") -> list[float]:
        path = f"{V2}/metrics/get-history?metric_key=loss&run_id={run_id or self.id}"
        return [one["value"] for one in self.get(path).json().get("metrics", [])]

    def file(self, run_id: str = "") -> str | None:
        answer = self.get(f"{self.folder(run_id or self.id)}/weights")
        return answer.text if answer.status_code == 200 else None

    def earlier(self, attempt: int = 1) -> str:
        return attempt_run_id(self.id, attempt)


def pairs(run: Any, kind: str) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in run["data"].get(kind, [])}
