"""Clients outside of the cluster, behind `trainyard proxy`: MLflow's own, its pages, ours."""

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from on_cluster.models import deployment, model, stage
from on_cluster.runs import Kubectl, Object, background, command, script_run, sources, status_of

LAPTOP = Path(__file__).with_name("laptop.py")
# MLflow's records outlive Runs and their namespace: those of another time are not looked at.
EXPERIMENT = f"clients-{uuid.uuid4().hex[:8]}"
# Two versions in one pod: the first says 1, the second says 2.
TRAIN = """
import mlflow
from sklearn.dummy import DummyClassifier
for number in (1, 2):
    with mlflow.start_run():
        mlflow.log_metric("score", number / 10)
        for step in range(3):
            mlflow.log_metric("loss", number / (step + 1), step=step)
        model = DummyClassifier(strategy="constant", constant=number)
        model.fit([[0.0], [1.0], [2.0]], [0, 1, 2])
        logged = mlflow.sklearn.log_model(model, name="model", input_example=[[0.0]])
        mlflow.register_model(logged.model_uri, "m")
"""


@pytest.fixture(scope="module")
def served(kube: Kubectl) -> Kubectl:
    """Version 1 of two serves, as it holds the alias `live`."""
    strict = stage("strict", "automatic", threshold=0.9)
    approved = stage("approved", "approval", threshold=0.01)
    kube.apply(model("m", strict, approved), sources("train", train=TRAIN))
    program = {"runtime": "sklearn", "source": {"configMap": {"name": "train"}}}
    kube.apply(script_run("train", ["python", "train.py"], experiment=EXPERIMENT, **program))
    assert status_of(kube.finished("train", seconds=180), "Succeeded") == "True"
    versions = ("modelversion/m-1", "modelversion/m-2")
    kube("wait", "--for=condition=Published", *versions, "--timeout=120s")
    kube("patch", "model", "m", "--type=merge", "-p", '{"spec": {"aliases": {"live": 1}}}')
    kube.apply(deployment("follower", model={"name": "m", "alias": "live"}, replicas=1))
    kube.wait("mdep", "follower", lambda seen: serves(seen, 1), seconds=180)
    return kube


def serves(deployment: Object, version: int) -> bool:
    stable = deployment.get("status", {}).get("stable", {}).get("version")
    return stable == version and status_of(deployment, "Available") == "True"


@pytest.fixture(scope="module")
def url(served: Kubectl) -> Iterator[str]:
    proxy = ("trainyard", "proxy", "-n", served.namespace, "--port", "0")
    with background(served.environment, *proxy, until=r"export MLFLOW_TRACKING_URI=(\S+)") as url:
        yield url


@pytest.fixture(scope="module")
def laptop(url: str, tmp_path_factory: pytest.TempPathFactory) -> Object:
    """What a script sees that knows the address and nothing else."""
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MLFLOW_TRACKING_URI": url}
    said = command(
        environment, sys.executable, "-W", "ignore", str(LAPTOP), EXPERIMENT, "m", cwd=home
    )
    seen: Object = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return seen


def test_a_client_finds_the_runs_of_the_cluster_and_their_metrics(laptop: Object) -> None:
    assert laptop["look"]["scores"] == [0.1, 0.2]
    assert laptop["look"]["losses"] == [2.0, 1.0, 2 / 3]


def test_a_client_loads_what_an_alias_holds(laptop: Object) -> None:
    assert laptop["look"]["versions"] == 2
    assert laptop["look"]["prediction"] == 1


def test_a_client_moves_an_alias_and_the_deployment_follows(
    laptop: Object, served: Kubectl
) -> None:
    moved = served.get("model", "m")
    served.wait("mdep", "follower", lambda seen: serves(seen, 2), seconds=120)

    assert laptop["move"]["held"] == 2
    assert moved["spec"]["aliases"]["live"] == 2
    assert moved["status"]["aliases"]["live"] == 2


def test_the_new_version_answers_a_prediction(laptop: Object, served: Kubectl) -> None:
    served.wait("mdep", "follower", lambda seen: serves(seen, 2), seconds=120)

    assert json.loads(served.trainyard("predict", "follower", "--data", "[[0.0], [1.0]]")) == {
        "predictions": [2, 2]
    }


def test_what_a_laptop_registers_is_a_version_that_gets_published(
    laptop: Object, served: Kubectl
) -> None:
    trained = laptop["train"]
    names = [model["metadata"]["name"] for model in served.list("models")]
    name = next(name for name in names if name.startswith("from-a-laptop"))
    served("wait", "--for=condition=Published", f"modelversion/{name}-1", "--timeout=120s")
    version = served.get("modelversion", f"{name}-1")

    assert (trained["version"], trained["status"]) == (1, "READY")
    assert served.get("model", name)["spec"]["name"] == "From a laptop"
    assert status_of(version, "Published") == "True", version["status"]
    assert version["status"]["metrics"]["score"] == "0.7"


def test_names_prompts_and_old_stages_are_as_in_mlflow(laptop: Object) -> None:
    assert laptop["kept"] == {
        "renamed": "A better name",
        "greeting": "Hello you",
        "stage": "Production",
        "prediction": 1,
    }


def test_a_run_of_a_laptop_is_compared_like_any_other(laptop: Object, served: Kubectl) -> None:
    shown = json.loads(served.trainyard("compare", "-e", "laptop", "-o", "json"))

    assert laptop["train"]["run"] in json.dumps(shown)
    assert "0.7" in json.dumps(shown)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        pytest.param("unknown stage", "INVALID_PARAMETER_VALUE", "Shelf", id="a stage of no name"),
        pytest.param("webhook", "PERMISSION_DENIED", "switched off", id="webhooks"),
        pytest.param("weak", "INVALID_STATE", "0.9", id="a gate that refuses"),
        pytest.param("approval", "PERMISSION_DENIED", "promote", id="the right to promote"),
        pytest.param("no version", "RESOURCE_DOES_NOT_EXIST", "99", id="a version there is not"),
    ],
)
def test_what_can_not_be_is_said_clearly(laptop: Object, asked: str, code: str, said: str) -> None:
    error, message = laptop["refused"][asked]

    assert error == code, message
    assert said in message


@pytest.fixture(scope="module")
def browser(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as http:
        yield http


def test_the_page_of_mlflow_loads_with_its_scripts(browser: httpx.Client) -> None:
    page = browser.get("/", headers={"Accept": "text/html"})
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert '<div id="root"' in page.text
    assert scripts
    for script in scripts:
        answer = browser.get(str(httpx.URL(f"{browser.base_url}/").join(script)))
        assert answer.status_code == 200, script
        assert "javascript" in answer.headers["content-type"]


def test_the_page_reads_experiments_runs_and_models(browser: httpx.Client) -> None:
    api = "/ajax-api/2.0/mlflow"
    experiments = browser.get(f"{api}/experiments/search?max_results=1000").json()["experiments"]
    number = next(one["experiment_id"] for one in experiments if one["name"] == EXPERIMENT)
    runs = browser.post(f"{api}/runs/search", json={"experiment_ids": [number]}).json()["runs"]
    models = browser.get(f"{api}/registered-models/search?max_results=25").json()

    assert len(runs) == 2
    assert "m" in [one["name"] for one in models["registered_models"]]
    assert browser.get("/ajax-api/3.0/mlflow/server-info").status_code == 200


def test_the_page_of_a_run_asks_by_graphql(browser: httpx.Client, served: Kubectl) -> None:
    run_id = served.get("run", "train")["status"]["runID"]
    query = """
        query GetRun($data: MlflowGetRunInput!) {
          mlflowGetRun(input: $data) { run { info { runName runUuid } } }
        }
    """
    body = {"operationName": "GetRun", "query": query, "variables": {"data": {"runId": run_id}}}

    answer = browser.post("/graphql", json=body).json()

    assert answer["data"]["mlflowGetRun"]["run"]["info"]["runUuid"] == run_id
