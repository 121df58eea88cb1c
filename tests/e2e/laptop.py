"""An ordinary script on a laptop, with MLFLOW_TRACKING_URI and nothing of ours; run by a test.

Prints what it saw as its last line.
"""

import json
import sys
from collections.abc import Callable

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.dummy import DummyClassifier


def look(client: MlflowClient, experiment: str, model: str) -> dict[str, object]:
    """Read what Runs of the cluster recorded, and load what they registered."""
    runs = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    best = max(runs, key=lambda run: run.data.metrics["score"])
    history = client.get_metric_history(best.info.run_id, "loss")
    return {
        "scores": sorted(run.data.metrics["score"] for run in runs),
        "losses": [point.value for point in history],
        "prediction": int(mlflow.pyfunc.load_model(f"models:/{model}@live").predict([[0.0]])[0]),
        "versions": len(client.search_model_versions(f"name = '{model}'")),
    }


def move(client: MlflowClient, model: str) -> dict[str, object]:
    """Move an alias to the second version."""
    client.set_registered_model_alias(model, "live", "2")
    held = client.get_model_version_by_alias(model, "live")
    return {"held": int(held.version)}


def train() -> dict[str, object]:
    """Log a run from here, and register its model."""
    mlflow.set_experiment("laptop")
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metric("score", 0.7)
        fitted = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [1.0]], [0, 1])
        logged = mlflow.sklearn.log_model(fitted, name="model", input_example=[[0.0]])
    version = mlflow.register_model(logged.model_uri, "From a laptop")
    return {"run": run.info.run_id, "version": int(version.version), "status": version.status}


def keep(client: MlflowClient) -> dict[str, object]:
    """Do what the registry has besides versions: other names, prompts, MLflow's old stages."""
    client.create_registered_model("A first name")
    client.rename_registered_model("A first name", "A better name")
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    moved = client.transition_model_version_stage("From a laptop", "1", "Production")
    return {
        "renamed": client.get_registered_model("A better name").name,
        "greeting": mlflow.genai.load_prompt("prompts:/greeting/1").format(name="you"),
        "stage": moved.current_stage,
        "prediction": int(
            mlflow.pyfunc.load_model("models:/From a laptop/Production").predict([[0.0]])[0]
        ),
    }


def refuse(client: MlflowClient, model: str) -> dict[str, tuple[str, str]]:
    """Ask for what there is not, and for what one may not."""
    asked: dict[str, Callable[[], object]] = {
        "unknown stage": lambda: client.transition_model_version_stage(model, "1", "Shelf"),
        "webhook": lambda: client.create_webhook(
            "hook", "https://example.com", ["registered_model.created"]
        ),
        "weak": lambda: client.set_registered_model_alias(model, "strict", "1"),
        "approval": lambda: client.set_registered_model_alias(model, "approved", "1"),
        "no version": lambda: client.set_registered_model_alias(model, "live", "99"),
    }
    return {name: answer_to(ask) for name, ask in asked.items()}


def answer_to(ask: Callable[[], object]) -> tuple[str, str]:
    """Give MLflow's error code and message."""
    try:
        ask()
    except MlflowException as error:
        return error.error_code, error.message
    return "", "it worked"


def main(experiment: str, model: str) -> None:
    client = MlflowClient()
    seen = {
        "look": look(client, experiment, model),
        "move": move(client, model),
        "train": train(),
        "kept": keep(client),
        "refused": refuse(client, model),
    }
    sys.stdout.write(f"\n{json.dumps(seen)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
