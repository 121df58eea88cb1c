"""Models with versions of chosen scores, for the cluster tests."""

from typing import Any

from on_cluster.runs import Kubectl, Object, script_run, sources

TRAIN = """
import argparse, mlflow
from sklearn.dummy import DummyClassifier
parser = argparse.ArgumentParser()
parser.add_argument("--score", type=float)
score = parser.parse_args().score
with mlflow.start_run():
    mlflow.log_metric("score", score)
    model = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [1.0]], [0, 1])
    mlflow.sklearn.log_model(model, name="model", input_example=[[0.0]])
"""


def model(name: str, *stages: Object, **spec: Any) -> Object:
    """Return a Model with *stages*."""
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name},
        "spec": {"stages": list(stages)} | spec,
    }


def stage(name: str, promotion: str, **gate: Any) -> Object:
    """Return a stage with one gate on `score`."""
    return {
        "name": name,
        "promotion": promotion,
        "requires": [{"metric": "score", "goal": "maximize"} | gate],
    }


def deployment(name: str, **spec: Any) -> Object:
    """Return a Deployment of ours."""
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def train(kube: Kubectl, name: str, scores: list[float], *, first: int = 1) -> None:
    """Register one Published version a score, numbered from *first* on."""
    kube.apply(sources("train", train=TRAIN))
    for number, score in enumerate(scores, first):
        kube.apply(
            script_run(
                f"{name}-train-{number}",
                ["python", "train.py"],
                runtime="sklearn",
                source={"configMap": {"name": "train"}},
                parameters={"score": score},
                register={"model": name},
            )
        )
        run = kube.finished(f"{name}-train-{number}", seconds=180)
        assert run["status"]["phase"] == "Succeeded", run["status"]
        kube("wait", "--for=create", f"modelversion/{name}-{number}", "--timeout=60s")
        kube("wait", "--for=condition=Published", f"modelversion/{name}-{number}", "--timeout=120s")
