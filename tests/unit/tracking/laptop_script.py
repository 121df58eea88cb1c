"""An ordinary training script, run by a test as the code of a Run: nothing here is ours."""

import sys

import mlflow
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

mlflow.autolog(log_datasets=False, silent=True)
features, target = load_iris(return_X_y=True)

mlflow.set_experiment("an experiment of another name")
with mlflow.start_run():
    search = GridSearchCV(LogisticRegression(max_iter=200), {"C": [0.1, 1.0]}, cv=2)
    search.fit(features, target)
    mlflow.log_metric("val_accuracy", 0.97)
    mlflow.log_text("hello", "notes/hello.txt")
    first = mlflow.active_run().info

with mlflow.start_run(run_name="second") as second:
    mlflow.log_param("depth", 3)
    logged = mlflow.sklearn.log_model(
        LogisticRegression(max_iter=200).fit(features, target), name="model"
    )

version = mlflow.register_model(logged.model_uri, "Iris of the laptop")
client = mlflow.MlflowClient()
client.set_registered_model_alias("Iris of the laptop", "best", version.version)
loaded = mlflow.pyfunc.load_model("models:/Iris of the laptop@best")
mine = mlflow.search_runs(search_all_experiments=True, output_format="list")
try:
    mlflow.get_run(sys.argv[1])
    foreign = "allowed"
except MlflowException as exc:
    foreign = exc.error_code

with mlflow.start_span("step"):
    pass

RESULT = {
    "first": first.run_id,
    "second": second.info.run_id,
    "parent": mlflow.get_run(second.info.run_id).data.tags["mlflow.parentRunId"],
    "same_experiment": second.info.experiment_id == first.experiment_id,
    "version": int(version.version),
    "predictions": len(loaded.predict(features[:3])),
    "mine": len(mine),
    "foreign": foreign,
}
sys.stdout.write(f"RESULT {RESULT}\n")
