"""What kubectl shows: columns, short names, explanations, and typing errors."""

import json
from collections.abc import Iterator

import pytest
from builders import given
from kube_api import Api
from kube_apiserver import Server
from rows import BUILDERS, body
from trainyard_api.contract import PLURALS

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
COLUMNS = {
    "Experiment": ["Name", "Running", "Succeeded", "Failed", "Age"],
    "Run": ["Name", "Experiment", "Phase", "Attempts", "Metric", "Duration", "Model", "Age"],
    "Model": ["Name", "MLflow Name", "Latest", "Versions", "Ready", "Reason", "Age"],
    "ModelVersion": ["Name", "Model", "Version", "Phase", "Servable", "Run", "Age"],
    "Deployment": ["Name", "Model", "Alias", "Stable", "Updating", "Ready", "Phase", "URL", "Age"],
}
SHORT = {
    "exp": "Experiment",
    "run": "Run",
    "mdl": "Model",
    "mv": "ModelVersion",
    "mdep": "Deployment",
}


def table(api: Api, created: given.Object) -> tuple[list[str], list[object]]:
    """Return the columns of `kubectl get`, and the cells of the only row."""
    answer = api.ask("GET", api.path(created), accept=TABLE)
    shown = [i for i, each in enumerate(answer["columnDefinitions"]) if not each["priority"]]
    names = [answer["columnDefinitions"][i]["name"] for i in shown]
    return names, [answer["rows"][0]["cells"][i] for i in shown]


@pytest.mark.parametrize("kind", BUILDERS)
def test_columns(api: Api, kind: str) -> None:
    names, _ = table(api, api.create(body(kind, {})))

    assert names == COLUMNS[kind]


def test_a_finished_run_at_a_glance(api: Api) -> None:
    created = api.create(body("Run", {}))
    status = {
        "phase": "Succeeded",
        "attemptCount": 1,
        "metric": "val_accuracy=0.984",
        "duration": "41s",
        "modelVersion": "digits-2",
    }
    api.patch(created, {"status": status}, sub="/status")
    _, cells = table(api, created)

    assert cells[:-1] == ["r", "digits", "Succeeded", 1, "val_accuracy=0.984", "41s", "digits-2"]


def test_a_deployment_at_a_glance(api: Api) -> None:
    created = api.create(body("Deployment", {}))
    status = {
        "phase": "Progressing",
        "stable": {"version": 1, "digest": given.DIGEST},
        "updating": {"version": 2, "digest": given.DIGEST},
        "readyReplicas": 3,
        "endpoint": "http://digits.team.svc",
    }
    api.patch(created, {"status": status}, sub="/status")
    _, cells = table(api, created)

    assert cells[:-1] == [
        *("digits", "digits", "production", 1, 2, 3, "Progressing"),
        "http://digits.team.svc",
    ]


@pytest.mark.parametrize("short", SHORT)
def test_short_names(api: Api, server: Server, short: str) -> None:
    created = api.create(body(SHORT[short], {}))
    name = server.kubectl("-n", api.namespace, "get", short, "-o", "name")

    kind = created["kind"].lower()
    assert name.stdout.strip() == f"{kind}.trainyard.dev/{created['metadata']['name']}"


def test_the_category_lists_all_kinds(api: Api, server: Server) -> None:
    for kind in BUILDERS:
        api.create(body(kind, {}))
    names = server.kubectl("-n", api.namespace, "get", "trainyard", "-o", "name")

    assert len(names.stdout.split()) == len(BUILDERS), names.stderr


@pytest.mark.parametrize("word", ["deployments", "deployment", "deploy"])
def test_deployments_are_still_those_of_kubernetes(api: Api, server: Server, word: str) -> None:
    api.create(body("Deployment", {}))
    listed = server.kubectl("-n", api.namespace, "get", word)

    assert (listed.stdout, listed.returncode) == ("", 0), listed.stderr
    assert "No resources found" in listed.stderr


def test_a_misspelt_field_is_refused_by_its_name(api: Api, server: Server) -> None:
    run = body("Run", {"comand": ["python"]})
    created = server.kubectl("-n", api.namespace, "create", "-f", "-", stdin=json.dumps(run))

    assert created.returncode == 1
    assert 'unknown field "spec.comand"' in created.stderr


@pytest.mark.parametrize("kind", BUILDERS)
def test_kubectl_explains_every_field(server: Server, api: Api, kind: str) -> None:
    explained = server.kubectl("explain", "--recursive", f"{PLURALS[kind]}.trainyard.dev")
    document = api.ask("GET", "/openapi/v3/apis/trainyard.dev/v1alpha1")
    schema = document["components"]["schemas"][f"dev.trainyard.v1alpha1.{kind}"]

    assert explained.returncode == 0, explained.stderr
    assert list(unexplained(schema, kind)) == []


def unexplained(node: given.Object, path: str) -> Iterator[str]:
    """Yield the path of every field without a description."""
    for name, field in node.get("properties", {}).items():
        here = f"{path}.{name}"
        if not field.get("description"):
            yield here
        yield from unexplained(field, here)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from unexplained(node[key], f"{path}[]")
