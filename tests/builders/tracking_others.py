"""Another's Run with one of everything that MLflow keeps, all of which says a secret."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from builders.tracking import OPERATOR, bearer
from builders.tracking_side import V2, Side

V3 = "/api/3.0/mlflow"
SOURCE = {"source_type": "HUMAN", "source_id": "me"}


class Others:
    """It, and what there is of it in the database, the store of files and the cluster.

    Attributes:
        known: By the name of a field, what to ask for it by.
    """

    def __init__(self, world: Any, namespace: str, experiment: str) -> None:
        self.side = Side(world, namespace=namespace, experiment=experiment)
        self.namespace = namespace
        self.secret = f"secret-{self.side.name}"
        self.noted = [{"key": "k", "value": self.secret}]
        self.said = {"experiment_id": self.side.experiment, "name": self.secret}
        self.known: dict[str, Any] = {}
        self._run()
        self._trace()
        self._data()
        self._notes()
        self._model()

    def rows(self) -> set[tuple[str, str]]:
        """Give the rows of the database that are its, or name it."""
        ids = [self.secret, self.side.run_id, self.side.model]
        return {row for row in _rows() if any(one in row[1] for one in ids)}

    def files(self) -> dict[str, bytes]:
        root = self.side.world.objects.root
        found = [path for path in root.rglob("*") if path.is_file()]
        ids = (self.side.run_id, self.side.model)
        return {str(p): p.read_bytes() for p in found if any(one in str(p) for one in ids)}

    def resources(self) -> str:
        """Give what the cluster has of its registered model."""
        place = f"/namespaces/{self.namespace}/"
        wanted = self.known["name"]
        kept = self.side.world.kube.objects.items()
        found = {path: one for path, one in kept if place in path and wanted in path}
        return json.dumps(found, sort_keys=True)

    def make(self, path: str, method: str = "POST", **body: Any) -> Any:
        # The stand-in for the API server lets the operator write in every namespace.
        headers = {**bearer(OPERATOR), "X-MLFLOW-WORKSPACE": self.namespace}
        answer = self.side.world.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _run(self) -> None:
        side = self.side
        run = side.run_id
        self.make(f"{V2}/runs/log-batch", run_id=run, params=self.noted, tags=self.noted)
        self.make(f"{V2}/logged-models/{side.model}/tags", "PATCH", tags=self.noted)
        file = f"{side.files}/{run}/artifacts/a.txt"
        assert side.send("PUT", file, content=self.secret.encode()).status_code == 200
        self.known |= {
            **dict.fromkeys(("run_id", "run_uuid", "source_run_id"), run),
            "run_ids": [run],
            **dict.fromkeys(("key", "tag_key"), "k"),
            "experiment_id": side.experiment,
            "experiment_ids": [side.experiment],
            "model_id": side.model,
            "path": "a.txt",
            "artifact_path": f"{side.experiment}/{run}/artifacts/a.txt",
            "artifact_file_path": "MLmodel",
        }

    def _trace(self) -> None:
        trace = f"tr-{self.side.run_id}"
        self.side.trace(trace, request_preview=self.secret, tags={"k": self.secret})
        judged = {"assessment_name": "good", "source": SOURCE, "feedback": {"value": self.secret}}
        made = self.make(f"{V3}/traces/{trace}/assessments", assessment=judged)["assessment"]
        self.known |= {
            **dict.fromkeys(("trace_id", "request_id"), trace),
            "trace_ids": [trace],
            "request_ids": [trace],
            "assessment_id": made["assessment_id"],
            "source": SOURCE,
        }

    def _data(self) -> None:
        tags = json.dumps({"k": self.secret})
        body = {"name": self.secret, "experiment_ids": [self.side.experiment], "tags": tags}
        data = self.make(f"{V3}/datasets/create", **body)["dataset"]["dataset_id"]
        records = json.dumps([{"inputs": {"q": self.secret}}])
        self.make(f"{V3}/datasets/{data}/records", records=records)
        self.known["dataset_id"] = data

    def _notes(self) -> None:
        about = {"description": self.secret, "severity": "high", "status": "pending"}
        issue = self.make(f"{V3}/issues", **self.said, **about)["issue"]
        label = {"type": "FEEDBACK", "instruction": self.secret, "input": {"text": {}}}
        schema = self.make(f"{V3}/label-schemas/create", **self.said, **label)["label_schema"]
        queue = self.make(f"{V3}/review-queues/create", **self.said, queue_type="CUSTOM")
        scorer = json.dumps({"name": self.secret, "builtin_scorer_class": "Safety"})
        self.make(f"{V3}/scorers/register", **self.said, serialized_scorer=scorer)
        self.known |= {
            "issue_id": issue["issue_id"],
            "schema_id": schema["schema_id"],
            "queue_id": queue["review_queue"]["queue_id"],
        }

    def _model(self) -> None:
        """Register a model; who reads models of its namespace may read it, so it tells nothing."""
        name = f"theirs-{self.side.name}"
        self.make(f"{V2}/registered-models/create", name=name)
        self.make(f"{V2}/model-versions/create", name=name, source="s3://models/theirs")
        self.known |= {"name": name, "version": "1"}


def _rows() -> Iterator[tuple[str, str]]:
    from mlflow.server.handlers import _get_tracking_store  # noqa: PLC0415  # reads its environment

    engine = _get_tracking_store().engine
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            for row in connection.execute(sa.select(sa.text("*")).select_from(sa.table(table))):
                yield table, repr(tuple(row))
