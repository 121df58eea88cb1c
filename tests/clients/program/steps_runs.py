"""Runs: what is logged, found, nested; files up and down."""

from pathlib import Path
from threading import Event

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from sklearn.linear_model import LogisticRegression
from stepping import Seen, step


@step("log params, metrics, tags")
def log(seen: Seen) -> None:
    mlflow.set_experiment(seen.name)
    with mlflow.start_run(run_name="first", tags={"kind": "matrix"}) as run:
        seen.run_id = run.info.run_id
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "name": "ä ö"})
        for at in range(3):
            mlflow.log_metric("loss", 1 / (at + 1), step=at)
        mlflow.log_metrics({"score": 0.9, "worst": float("nan"), "best": float("inf")})
        mlflow.set_tag("note", "a b")
        mlflow.set_tags({"one": 1, "gone": 2})
        mlflow.delete_tag("gone")
    data = mlflow.get_run(seen.run_id).data
    assert data.params == data.params | {"depth": "3", "rate": "0.1", "name": "ä ö"}
    assert data.metrics["score"] == 0.9
    assert np.isnan(data.metrics["worst"])
    # The largest number that there is stands for infinity in MLflow's database.
    assert data.metrics["best"] > 1e308
    assert data.tags["note"] == "a b"
    assert "gone" not in data.tags


@step("metric history")
def history(seen: Seen) -> None:
    points = MlflowClient().get_metric_history(seen.run_id, "loss")
    assert [point.step for point in points] == [0, 1, 2]


@step("resume, end, describe a run")
def resume(seen: Seen) -> None:
    with mlflow.start_run(run_id=seen.run_id, description="said later"):
        mlflow.log_metric("later", 1)
    run = mlflow.get_run(seen.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.note.content"] == "said later"
    MlflowClient().update_run(seen.run_id, name="renamed")
    assert mlflow.get_run(seen.run_id).info.run_name == "renamed"


@step("log_batch of 1,000 metrics")
def batch(seen: Seen) -> None:
    client = MlflowClient()
    metrics = [Metric("many", float(at), 1_700_000_000_000 + at, at) for at in range(1000)]
    client.log_batch(seen.run_id, metrics=metrics)
    params, tags = [Param("b", "1")], [RunTag("c", "2")]
    client.log_batch(seen.run_id, params=params, tags=tags)
    assert len(client.get_metric_history(seen.run_id, "many")) == 1000


@step("asynchronous logging")
def asynchronous(seen: Seen) -> None:
    mlflow.config.enable_async_logging(True)
    try:
        with mlflow.start_run(run_id=seen.run_id):
            for at in range(20):
                mlflow.log_metric("async", at, step=at)
            mlflow.log_param("async", "yes")
            mlflow.flush_async_logging()
    finally:
        mlflow.config.enable_async_logging(False)
    assert len(MlflowClient().get_metric_history(seen.run_id, "async")) == 20


@step("nested runs")
def nested(seen: Seen) -> None:
    with mlflow.start_run(run_name="outer") as outer:
        for at in range(2):
            with mlflow.start_run(run_name=f"inner-{at}", nested=True) as inner:
                mlflow.log_metric("score", at)
        assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    filtered = f"tags.`mlflow.parentRunId` = '{outer.info.run_id}'"
    found = mlflow.search_runs(filter_string=filtered, output_format="list")
    assert len(found) == 2, found


@step("search runs")
def search(seen: Seen) -> None:
    found = mlflow.search_runs(filter_string="metrics.score > 0.5 and params.depth = '3'")
    assert seen.run_id in list(found["run_id"])
    client = MlflowClient()
    mine = [client.get_experiment_by_name(seen.name).experiment_id]
    pages = client.search_runs(mine, max_results=1, order_by=["metrics.score DESC"])
    assert pages.token
    again = client.search_runs(
        mine, max_results=1, order_by=["metrics.score DESC"], page_token=pages.token
    )
    assert again[0].info.run_id != pages[0].info.run_id


@step("experiments")
def experiments(seen: Seen) -> None:
    client = MlflowClient()
    found = client.get_experiment_by_name(seen.name)
    assert client.get_experiment(found.experiment_id).name == found.name
    known = [one.experiment_id for one in mlflow.search_experiments()]
    assert found.experiment_id in known


@step("experiment tags")
def experiment_tags(seen: Seen) -> None:
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    MlflowClient().set_experiment_tag(number, "team", "vision")
    assert MlflowClient().get_experiment(number).tags["team"] == "vision"


@step("files up and down")
def files(seen: Seen) -> None:
    folder = seen.folder / "up"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b ü.bin").write_bytes(bytes(3 << 20))
    with mlflow.start_run(run_id=seen.run_id):
        mlflow.log_artifact(folder / "a.txt")
        mlflow.log_artifacts(folder, "deep/er")
        mlflow.log_text("text", "notes/n.txt")
        mlflow.log_dict({"a": 1}, "notes/d.json")
    client = MlflowClient()
    assert {"a.txt", "deep", "notes"} <= {one.path for one in client.list_artifacts(seen.run_id)}
    (listed,) = client.list_artifacts(seen.run_id, "deep/er/sub")
    assert (listed.path, listed.file_size) == ("deep/er/sub/b ü.bin", 3 << 20)
    down = mlflow.artifacts.download_artifacts(run_id=seen.run_id, artifact_path="deep")
    assert _bytes(down, "er/sub/b ü.bin") == 3 << 20
    whole = client.download_artifacts(seen.run_id, "", str(seen.folder))
    assert _bytes(whole, "a.txt") == 1
    uri = f"runs:/{seen.run_id}/notes/n.txt"
    assert mlflow.artifacts.load_text(uri) == "text"
    assert mlflow.artifacts.load_dict(f"runs:/{seen.run_id}/notes/d.json") == {"a": 1}


def _bytes(root: str, path: str) -> int:
    return (Path(root) / path).stat().st_size


@step("a file that is not there")
def missing(seen: Seen) -> None:
    assert MlflowClient().list_artifacts(seen.run_id, "nothing") == []
    try:
        mlflow.artifacts.download_artifacts(run_id=seen.run_id, artifact_path="nothing.txt")
    except Exception as exc:  # noqa: BLE001  # each version has its own class
        text = str(exc)
        assert "404" in text or "nothing.txt" in text or "not found" in text.lower(), text
    else:
        raise AssertionError("nothing.txt was downloaded")


@step("figures, images, tables, data sets")
def rich(seen: Seen) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    with mlflow.start_run(run_id=seen.run_id):
        mlflow.log_figure(figure, "plots/f.png")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "plots/i.png")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), key="seen", step=1)
        mlflow.log_table(frame, "table.json")
        mlflow.log_table(frame, "table.json")
        mlflow.log_input(mlflow.data.from_pandas(frame, name="rows"), context="training")
    assert len(mlflow.load_table("table.json", run_ids=[seen.run_id])) == 4
    (used,) = mlflow.get_run(seen.run_id).inputs.dataset_inputs
    assert used.dataset.name == "rows"
    plots = {one.path for one in MlflowClient().list_artifacts(seen.run_id, "plots")}
    assert plots == {"plots/f.png", "plots/i.png"}


@step("system metrics")
def system(seen: Seen) -> None:
    mlflow.set_system_metrics_sampling_interval(1)
    with mlflow.start_run(run_name="system", log_system_metrics=True) as run:
        Event().wait(2.5)  # the monitor has to have sampled
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert any(name.startswith("system/cpu") for name in metrics), metrics


@step("autolog of scikit-learn")
def autolog(seen: Seen) -> None:
    mlflow.sklearn.autolog()
    try:
        with mlflow.start_run(run_name="auto") as run:
            rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
            LogisticRegression().fit(rows, [0, 0, 1, 1])
    finally:
        mlflow.sklearn.autolog(disable=True)
    logged = mlflow.get_run(run.info.run_id)
    assert logged.data.params["C"] == "1.0"
    assert "training_score" in logged.data.metrics
    assert logged.inputs.dataset_inputs
    assert len(mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(rows)) == 4
