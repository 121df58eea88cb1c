"""Models: logged, loaded, evaluated, searched."""

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from stepping import VERSION, Seen, step

ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
# MLflow 3 has a name where MLflow 2 had a path.
NAMED = {"name": "model"} if VERSION >= (3, 0) else {"artifact_path": "model"}


@step("log a model, load it from its run")
def log_model(seen: Seen) -> None:
    fitted = LogisticRegression().fit(ROWS, [0, 0, 1, 1])
    with mlflow.start_run(run_id=seen.run_id):
        logged = mlflow.sklearn.log_model(
            fitted,
            **NAMED,
            signature=infer_signature(ROWS, fitted.predict(ROWS)),
            input_example=ROWS[:1],
        )
    seen.model_uri = logged.model_uri
    for uri in (logged.model_uri, f"runs:/{seen.run_id}/model"):
        assert len(mlflow.pyfunc.load_model(uri).predict(ROWS)) == 4
    assert mlflow.sklearn.load_model(logged.model_uri).coef_.shape == (1, 1)
    assert mlflow.models.get_model_info(logged.model_uri).signature is not None


@step("logged models", since=(3, 0))
def logged_models(seen: Seen) -> None:
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    filtered = f"source_run_id = '{seen.run_id}'"
    found = mlflow.search_logged_models(
        experiment_ids=[number], filter_string=filtered, output_format="list"
    )
    (model,) = [one for one in found if one.model_uri == seen.model_uri]
    mlflow.set_logged_model_tags(model.model_id, {"a": "b"})
    mlflow.log_metric("of_model", 1, model_id=model.model_id, run_id=seen.run_id)
    again = mlflow.get_logged_model(model.model_id)
    assert again.tags["a"] == "b"
    assert "of_model" in [one.key for one in again.metrics or []]


@step("a logged model before its run", since=(3, 0))
def external(seen: Seen) -> None:
    with mlflow.start_run(run_name="external"):
        made = mlflow.create_external_model(name="elsewhere", params={"a": "1"})
    assert mlflow.get_logged_model(made.model_id).params == {"a": "1"}


@step("evaluate a model")
def evaluate(seen: Seen) -> None:
    rows = ROWS.assign(y=[0, 0, 1, 1])
    with mlflow.start_run(run_name="evaluate") as run:
        evaluated = mlflow.models.evaluate(
            seen.model_uri,
            rows,
            targets="y",
            model_type="classifier",
            evaluator_config={"log_model_explainability": False},
        )
    assert evaluated.metrics["accuracy_score"] == 1
    assert mlflow.get_run(run.info.run_id).data.metrics["accuracy_score"] == 1
