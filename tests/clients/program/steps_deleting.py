"""What takes away: last, so that all else is done with it."""

import mlflow
from mlflow import MlflowClient
from stepping import Seen, code, step


@step("delete and restore a run")
def delete_run(seen: Seen) -> None:
    client = MlflowClient()
    with mlflow.start_run(run_name="to delete") as run:
        pass
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    client.restore_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"


@step("delete an alias")
def delete_alias(seen: Seen) -> None:
    MlflowClient().delete_registered_model_alias(seen.name, "live")
    assert MlflowClient().get_registered_model(seen.name).aliases == {}


@step("rename a model")
def rename(seen: Seen) -> None:
    client = MlflowClient()
    client.rename_registered_model(seen.name, f"{seen.name} renamed")
    assert int(client.get_model_version(f"{seen.name} renamed", "1").version) == 1
    client.rename_registered_model(f"{seen.name} renamed", seen.name)


@step("delete a version and a model")
def delete_model(seen: Seen) -> None:
    client = MlflowClient()
    client.delete_model_version(seen.name, "3")
    versions = client.search_model_versions(f"name = '{seen.name}'")
    assert sorted(int(one.version) for one in versions) == [1, 2]
    client.delete_registered_model(seen.name)
    assert code(lambda: client.get_registered_model(seen.name)) == "RESOURCE_DOES_NOT_EXIST"


@step("delete and restore an experiment")
def delete_experiment(seen: Seen) -> None:
    client = MlflowClient()
    number = client.create_experiment(f"{seen.name}-gone", tags={"a": "b"})
    client.rename_experiment(number, f"{seen.name}-going")
    client.delete_experiment(number)
    assert client.get_experiment(number).lifecycle_stage == "deleted"
    client.restore_experiment(number)
