"""Prompts are MLflow's own, in its SQL registry, beside models that are resources."""

import pytest
from builders.tracking import SCIENTIST, VIEWER, bearer, person_token
from builders.tracking_registry import NAMES, ROOT, V2, Registry, error
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

IS_PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]


@pytest.fixture
def client(world, monkeypatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SCIENTIST)
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    return MlflowClient(tracking_uri=world.url, registry_uri=world.url)


@pytest.fixture
def name(client) -> str:
    """Give the name of a prompt with two versions."""
    made = f"greeting-{next(NAMES)}"
    client.register_prompt(made, "Hello {{name}}", tags={"for": "tests"})
    client.register_prompt(made, "Good day, {{name}}" + "!" * 5000)
    return made


def test_a_prompt_is_registered_loaded_pointed_at_and_tagged(client, name):
    client.set_prompt_alias(name, "polite", 2)
    client.set_prompt_version_tag(name, 1, "checked", "yes")

    assert client.load_prompt(f"prompts:/{name}@polite").template.startswith("Good day")
    first = client.load_prompt(f"prompts:/{name}/1")
    assert (first.template, first.tags["checked"]) == ("Hello {{name}}", "yes")
    assert client.get_prompt(name).tags["for"] == "tests"


def test_a_prompt_is_found_among_prompts_and_no_model_is(client, name, registry):
    registry.add()

    prompts = {one.name for one in client.search_prompts(max_results=1000)}
    models = {one.name for one in client.search_registered_models(max_results=1000)}
    versions = {one.name for one in client.search_model_versions(max_results=1000)}

    assert name in prompts - models - versions
    assert registry.name in (models & versions) - prompts


def test_a_prompt_is_no_resource_and_is_deleted_in_mlflow(client, name, world):
    client.delete_prompt_version(name, "2")
    client.delete_prompt_version(name, "1")
    client.delete_prompt(name)

    assert f"{ROOT}/models/{name}" not in world.kube.objects
    assert client.get_prompt(name) is None


def test_a_name_is_of_a_prompt_or_of_a_model(client, name, registry):
    with pytest.raises(MlflowException, match="already taken"):
        client.create_registered_model(name)
    with pytest.raises(MlflowException, match="exists with the same name"):
        client.register_prompt(registry.name, "Hello")
    with pytest.raises(MlflowException, match="already exists"):
        client.rename_registered_model(registry.name, name)
    both = {"name": name, "new_name": registry.name}
    # Not with the client, which renames no prompts.
    assert error(registry.call("POST", "registered-models/rename", **both)) == (
        "RESOURCE_ALREADY_EXISTS"
    )
    assert client.get_prompt(name) is not None


def test_a_model_does_not_become_a_prompt_by_a_tag(registry):
    answer = registry.call("POST", "registered-models/set-tag", name=registry.name, **IS_PROMPT[0])

    assert (answer.status_code, error(answer)) == (409, "INVALID_STATE")


def test_who_may_not_write_models_writes_no_prompts(world, name):
    viewer = Registry(world, who=VIEWER)
    viewer.name = name

    assert viewer.call("GET", "registered-models/get", name=name).status_code == 200
    assert viewer.create(name="other", tags=IS_PROMPT).status_code == 403
    assert viewer.call("DELETE", "registered-models/delete", name=name).status_code == 403


def test_a_token_for_the_tracking_service_alone_writes_no_prompts(world, name):
    alone = person_token("scientist", "trainyard-tracking")
    headers = bearer(alone, **{"X-MLFLOW-WORKSPACE": "team"})
    for path, body in (
        ("registered-models/create", {"name": f"{name}-new", "tags": IS_PROMPT}),
        ("registered-models/rename", {"name": name, "new_name": f"{name}-new"}),
    ):
        answer = world.client.post(f"{V2}/{path}", json=body, headers=headers)
        assert answer.status_code == 403, answer.text


def test_a_prompt_of_another_namespace_is_not_there(world, name):
    headers = bearer("operator-token", **{"X-MLFLOW-WORKSPACE": "default"})

    answer = world.client.get(f"{V2}/registered-models/get", params={"name": name}, headers=headers)

    assert error(answer) == "RESOURCE_DOES_NOT_EXIST"


def test_code_of_a_run_reads_prompts_and_writes_none(world, name):
    token = world.record("abcd" * 8, "prompting")
    headers = bearer(token)

    read = world.client.get(f"{V2}/registered-models/get", params={"name": name}, headers=headers)
    made = world.client.post(
        f"{V2}/registered-models/create", json={"name": "mine", "tags": IS_PROMPT}, headers=headers
    )

    assert read.status_code == 200
    assert (made.status_code, error(made)) == (403, "PERMISSION_DENIED")
