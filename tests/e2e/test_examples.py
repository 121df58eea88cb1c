"""Each example beyond the first does what it says."""

import json
import os
import sys
from pathlib import Path

import pytest
from on_cluster.runs import Kubectl, background, command, status_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_model_that_is_code_of_ones_own_is_trained_and_served(kube: Kubectl) -> None:
    folder = str(EXAMPLES / "02-own-code")
    said = kube.trainyard("run", folder, "-p", "noise=0.01", "-e", "lines", "--register", "line")
    kube("wait", "--for=condition=Servable", "modelversion/line-1", "--timeout=120s")
    kube.trainyard("serve", "line/1")
    answer = json.loads(kube.trainyard("predict", "line", "--data", "[[0.0], [2.0]]"))

    assert "registered as line-1" in said
    assert answer["predictions"] == pytest.approx([1.0, 7.0], abs=0.05)


def test_what_a_laptop_registers_is_served(kube: Kubectl, tmp_path: Path) -> None:
    script = str(EXAMPLES / "03-from-a-laptop" / "register.py")
    proxy = ("trainyard", "proxy", "-n", kube.namespace, "--port", "0")
    with background(kube.environment, *proxy, until=r"export MLFLOW_TRACKING_URI=(\S+)") as url:
        home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_TRACKING_URI": url}
        said = command(home, sys.executable, "-W", "ignore", script, cwd=tmp_path)
    kube.trainyard("serve", "iris/1")
    sizes = {"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4, "petal width": 0.2}
    flower = json.dumps([{f"{name} (cm)": size for name, size in sizes.items()}])
    answer = json.loads(kube.trainyard("predict", "iris", "--data", flower))

    assert "iris version 1 is READY" in said
    assert answer == {"predictions": [0]}


def test_a_folder_is_applied_again_and_again_and_what_people_moved_stays(kube: Kubectl) -> None:
    folder = str(EXAMPLES / "04-gitops")
    first = kube("apply", "-k", folder)
    kube.wait("mdep", "wine", lambda seen: status_of(seen, "Available") == "True", seconds=300)
    held = kube.get("model", "wine")["status"]["aliases"]
    again = kube("apply", "-k", folder)

    assert first.count(" created") == 5
    assert again.count(" unchanged") == 5, again
    assert held == kube.get("model", "wine")["status"]["aliases"] == {"production": 1}
    runs = [run["metadata"]["name"] for run in kube.list("runs")]
    assert [name for name in runs if name.startswith("wine")] == ["wine-2026-11"]
