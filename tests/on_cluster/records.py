"""What is on record of Runs in MLflow, for somebody with a login."""

from trainyard.client import Client
from trainyard_api.attempts import attempt_run_id

from on_cluster.runs import Object


class Mlflow:
    """What MLflow has of the namespace, for somebody with a login."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def experiment(self, name: str) -> str:
        """Return the id of an experiment."""
        route = f"experiments/get-by-name?experiment_name={name}"
        found = self._ask(route)["experiment"]
        return str(found["experiment_id"])

    def run(self, run_id: str) -> Object:
        """Return one run."""
        found: Object = self._ask(f"runs/get?run_id={run_id}")["run"]
        return found

    def runs(self, experiment: str, wanted: str) -> list[Object]:
        """Return the runs of an experiment that the filter *wanted* matches."""
        body = {"experiment_ids": [self.experiment(experiment)], "filter": wanted}
        found: list[Object] = self._ask("runs/search", body).get("runs", [])
        return found

    def children(self, run: Object) -> list[Object]:
        """Return the runs below a Run, in its experiment."""
        parent = run["status"]["runID"]
        return self.runs("e2e", f"tags.mlflow.parentRunId = '{parent}'")

    def earlier(self, run: Object, attempt: int = 1) -> Object:
        """Return what an earlier attempt of a Run recorded."""
        return self.run(attempt_run_id(run["status"]["runID"], attempt))

    def _ask(self, route: str, body: Object | None = None) -> Object:
        return self.client.tracking.mlflow(
            route, namespace=self.client.namespace, what=f"ask {route}", body=body
        )


def metrics_of(run: Object) -> dict[str, float]:
    return {metric["key"]: metric["value"] for metric in run["data"].get("metrics", [])}


def params_of(run: Object) -> dict[str, str]:
    """Return the params of a run."""
    return {param["key"]: param["value"] for param in run["data"].get("params", [])}
