"""Every route of the composed application has a rule, and what has none is refused."""

import re
from pathlib import Path

import pytest
from builders.tracking import OPERATOR, SCIENTIST, STRANGER, VIEWER, bearer
from builders.tracking_walk import private_routes, routes
from trainyard_tracking.auth.rules import Access, row

OPEN = {"/health", "/api/trainyard/v1/health", "/api/trainyard/v1/ready", "/metrics"}
# Of MLflow 3.18 on, so that rules for them may be of no route.
NEWER = {"/api/3.0/mlflow/skills", "/api/3.0/mlflow/issues/schedule/state"}


def shape(path: str) -> str:
    several = re.sub(
        r"<path:[^>]*>|\{[^}]*:path\}", "{...}", path.replace("/ajax-api/", "/api/", 1)
    )
    return re.sub(r"<[^>]*>|\{[^}.]+\}", "{}", several)


def sample(template: str) -> str:
    return re.sub(r"<[^>]*>|\{[^}]*\}", "7", template)


def test_mlflow_has_as_many_routes_as_we_looked_at(world):
    assert len(set(routes(world))) > 500


def test_every_route_has_a_rule(world):
    everything = {*routes(world), *private_routes(world)}

    bare = [one for one in everything if world.service.table.find(one[0], sample(one[1])) is None]

    assert bare == []


def test_every_rule_is_of_a_route(world):
    known = {shape(path) for _, path in [*routes(world), *private_routes(world)]}
    unused = [
        row.template
        for row in world.service.table.rows
        if row.template not in known | NEWER
        and not (row.prefix and any(path.startswith(row.template) for path in known))
    ]

    assert unused == []


def test_every_route_that_is_open_to_anybody_is_listed_by_its_own_template(world):
    table = world.service.table
    borrowed = {
        (method, path, found.template)
        for method, path in {*routes(world), *private_routes(world)}
        if (found := table.find(method, sample(path))).rule.people is not Access.NOBODY
        and found.template != shape(path)
    }

    assert borrowed == set()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/3.0/mlflow/issues/new-in-the-next-release"),
        ("GET", "/api/3.0/mlflow/datasets/d-1/new-in-the-next-release"),
        ("POST", "/api/2.0/mlflow/runs/new-in-the-next-release"),
        ("GET", "/api/9.0/mlflow/secrets"),
    ],
)
def test_what_a_newer_mlflow_adds_is_not_there_for_anybody(world, method, path):
    answer = world.client.request(method, path, json={}, headers=bearer(OPERATOR))

    # The word on which clients ask an older route, if they know one.
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/api/3.0/mlflow/issues/invoke", "/api/trainyard/v1/namespaces/team/new/path"]
)
def test_what_is_off_and_what_is_no_route_of_ours_is_refused(world, path):
    # To the operator a 404 would say that a Run is gone.
    assert world.client.post(path, json={}, headers=bearer(OPERATOR)).status_code == 403


def test_a_prefix_that_would_open_something_is_no_row():
    with pytest.raises(ValueError, match="prefix"):
        row("GET", "/api/3.0/mlflow/datasets", "get runs", prefix=True)


def test_without_a_token_every_route_but_the_open_ones_is_401(world):
    everything = {*routes(world), *private_routes(world)}
    answers = {
        (method, path): world.client.request(method, sample(path)).status_code
        for method, path in sorted(everything)
    }

    wrong = {one: code for one, code in answers.items() if code != 401 and one[1] not in OPEN}
    assert wrong == {}


def test_the_open_routes_answer_without_a_token(world):
    assert {world.client.get(path).status_code for path in OPEN} == {200}


def test_the_page_on_security_names_the_open_routes():
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text("utf-8")
    sentence = page[page.index("every route but") : page.index("(which name no user")]

    assert set(re.findall("`([^`]+)`", sentence)) == OPEN


def test_the_refusal_says_how_to_get_a_token(world):
    answer = world.client.get("/api/2.0/mlflow/runs/get")

    assert answer.status_code == 401
    assert "trainyard proxy" in answer.json()["message"]


def test_a_stranger_is_let_into_no_route_that_needs_rights(world):
    table = world.service.table
    known = {*routes(world), *private_routes(world)}
    guarded = [
        (method, sample(path))
        for method, path in sorted(known)
        if table.find(method, sample(path)).rule.people not in {Access.OPEN, Access.KNOWN}
    ]

    codes = {
        one: world.client.request(*one, headers=bearer(STRANGER)).status_code for one in guarded
    }

    assert {one: code for one, code in codes.items() if code != 403} == {}


@pytest.mark.parametrize(
    ("token", "namespace", "code"),
    [
        pytest.param(SCIENTIST, "team", 200, id="a scientist lists runs of the own namespace"),
        pytest.param(VIEWER, "team", 200, id="a viewer lists runs of the own namespace"),
        pytest.param(SCIENTIST, "other", 403, id="a scientist lists no runs of another one"),
        pytest.param(STRANGER, "team", 403, id="a stranger lists nothing"),
        pytest.param("forged", "team", 401, id="a forged token is nobody's"),
    ],
)
def test_rights_on_the_resources_are_rights_on_mlflow(world, token, namespace, code):
    answer = world.client.post(
        "/api/2.0/mlflow/experiments/search",
        json={"max_results": 5},
        headers=bearer(token, **{"X-MLFLOW-WORKSPACE": namespace}),
    )

    assert answer.status_code == code


def test_a_viewer_makes_no_runs(world):
    answer = world.client.post(
        "/api/2.0/mlflow/runs/create",
        json={"experiment_id": "0"},
        headers=bearer(VIEWER, **{"X-MLFLOW-WORKSPACE": "team"}),
    )

    assert answer.status_code == 403
    assert "create runs.trainyard.dev in namespace team" in answer.json()["message"]


def test_a_token_is_taken_from_the_header_that_the_service_proxy_leaves(world):
    answer = world.client.get(
        "/version", headers={"X-Trainyard-Authorization": f"Bearer {SCIENTIST}"}
    )

    assert answer.status_code == 200


def test_only_namespaces_whose_runs_one_may_list_are_workspaces(world):
    for name in ("team", "other"):
        world.kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
    world.sync()

    answer = world.client.get("/api/3.0/mlflow/workspaces", headers=bearer(SCIENTIST))

    assert [one["name"] for one in answer.json()["workspaces"]] == ["team"]


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "3.0/mlflow/gateway/endpoints/list", {"endpoints": []}),
        ("GET", "3.0/mlflow/gateway/endpoints/bindings/list", {"bindings": []}),
        ("GET", "3.0/mlflow/gateway/model-definitions/list", {"model_definitions": []}),
        ("GET", "3.0/mlflow/gateway/secrets/list", {"secrets": []}),
        ("GET", "3.0/mlflow/gateway/secrets/config", {"secrets_available": False}),
        ("GET", "3.0/mlflow/gateway/supported-providers", {"providers": []}),
        ("GET", "3.0/mlflow/gateway/supported-models?provider=x", {"models": []}),
        ("GET", "3.0/mlflow/gateway/budgets/list?max_results=9", {"budget_policies": []}),
        ("GET", "3.0/mlflow/gateway/budgets/windows", {"windows": []}),
        ("GET", "3.0/mlflow/gateway/guardrails/list", {"guardrails": []}),
        ("GET", "2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints/", {"endpoints": []}),
        ("GET", "2.0/mlflow/webhooks", {"webhooks": []}),
        ("GET", "3.0/mlflow/assistant/config", {"providers": {}, "projects": {}}),
        ("GET", "3.0/mlflow/assistant/providers", {"providers": [], "resolved": None}),
        ("GET", "3.0/mlflow/mcp-servers", {"mcp_servers": []}),
        ("GET", "3.0/mlflow/mcp-servers/endpoints", {"mcp_access_endpoints": []}),
        ("POST", "3.0/mlflow/prompt-optimization/jobs/search", {"jobs": []}),
        ("POST", "3.0/mlflow/ui-telemetry", {"status": "disabled"}),
    ],
)
def test_the_ui_is_told_that_there_is_nothing_of_what_is_off(world, method, path, answer):
    said = world.client.request(
        method,
        f"/ajax-api/{path}",
        json={"records": []} if method == "POST" else None,
        headers=bearer(VIEWER, **{"X-MLFLOW-WORKSPACE": "team"}),
    )

    assert (said.status_code, said.json()) == (200, answer)


def test_the_ui_finds_telemetry_and_the_gateway_off(world):
    asked = {
        name: world.client.get(f"/ajax-api/3.0/mlflow/{name}", headers=bearer(VIEWER)).json()
        for name in ("ui-telemetry", "server-info")
    }

    assert asked["ui-telemetry"]["disable_ui_telemetry"] is True
    assert asked["server-info"]["features_enabled"]["gateway"] is False


@pytest.mark.parametrize(
    "path",
    ["gateway/secrets/create", "gateway/endpoints/create", "assistant/message", "demo/generate"],
)
def test_what_is_off_stays_off(world, path):
    answer = world.client.post(f"/ajax-api/3.0/mlflow/{path}", json={}, headers=bearer(OPERATOR))

    assert answer.status_code == 403
    assert "switched off" in answer.json()["message"]


def test_namespaces_of_the_system_are_no_workspaces(world):
    for name in ("team", "default", "kube-system", "kube-public", "yard"):
        world.kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
    world.sync()

    answer = world.client.get("/api/3.0/mlflow/workspaces", headers=bearer(OPERATOR))

    names = {one["name"] for one in answer.json()["workspaces"]}
    assert {"team", "default"} <= names
    assert not names & {"kube-system", "kube-public", "yard"}


def test_urls_signed_for_the_object_store_are_not_offered(world):
    answer = world.client.get("/api/3.0/mlflow/server-info", headers=bearer(SCIENTIST))

    assert answer.json()["multipart_uploads_enabled"] is False
    assert answer.json()["workspaces_enabled"] is True
