"""The registry: register, search, tag, point, move, load."""

import warnings
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from stepping import VERSION, Seen, code, step
from steps_models import NAMED, ROWS


@step("register")
def register(seen: Seen) -> None:
    version = mlflow.register_model(seen.model_uri, seen.name, tags={"origin": "matrix"})
    assert int(version.version) == 1
    assert version.status == "READY"
    assert version.run_id == seen.run_id
    # Registering it once more finds the model there.
    assert int(mlflow.register_model(f"runs:/{seen.run_id}/model", seen.name).version) == 2
    mlflow.register_model(seen.model_uri, f"{seen.name}-kept")


@step("register while logging")
def register_logging(seen: Seen) -> None:
    with mlflow.start_run(run_id=seen.run_id):
        fitted = mlflow.sklearn.load_model(seen.model_uri)
        kept = {**NAMED, next(iter(NAMED)): "again"}
        mlflow.sklearn.log_model(fitted, **kept, registered_model_name=seen.name)
    versions = MlflowClient().search_model_versions(f"name = '{seen.name}'")
    assert sorted(int(one.version) for one in versions) == [1, 2, 3]


@step("alias")
def alias(seen: Seen) -> None:
    client = MlflowClient()
    client.set_registered_model_alias(seen.name, "live", "1")
    client.set_registered_model_alias(seen.name, "live", "2")
    assert int(client.get_model_version_by_alias(seen.name, "live").version) == 2
    assert client.get_registered_model(seen.name).aliases == {"live": "2"}


@step("load by alias, version, latest; predict")
def load(seen: Seen) -> None:
    for which in ("@live", "/1", "/latest"):
        model = mlflow.pyfunc.load_model(f"models:/{seen.name}{which}")
        assert list(model.predict(ROWS)) == [0, 0, 1, 1]


@step("download models:/")
def download(seen: Seen) -> None:
    for which in ("@live", "/1"):
        where = mlflow.artifacts.download_artifacts(
            f"models:/{seen.name}{which}", dst_path=str(seen.folder / f"model{which.strip('/@')}")
        )
        assert Path(where, "MLmodel").is_file()
        text = mlflow.artifacts.download_artifacts(f"models:/{seen.name}{which}/MLmodel")
        assert "python_function" in Path(text).read_text()
    uri = MlflowClient().get_model_version_download_uri(seen.name, "1")
    assert Path(mlflow.artifacts.download_artifacts(uri), "MLmodel").is_file()


@step("load what another version registered")
def foreign(seen: Seen) -> None:
    where = mlflow.artifacts.download_artifacts(f"models:/{seen.other}-kept/1")
    assert Path(where, "MLmodel").is_file()
    version = MlflowClient().get_model_version(f"{seen.other}-kept", "1")
    assert version.status == "READY"
    if VERSION < (3, 0):
        return  # It can't load skops, in which MLflow 3.18 saves models of scikit-learn.
    assert len(mlflow.pyfunc.load_model(f"models:/{seen.other}-kept/1").predict(ROWS)) == 4


@step("search the registry")
def search(seen: Seen) -> None:
    client = MlflowClient()
    (model,) = client.search_registered_models(f"name = '{seen.name}'")
    assert [one.name for one in client.search_registered_models(f"name LIKE '{seen.name}%'")]
    assert {int(one.version) for one in model.latest_versions} == {3}
    made_of = client.search_model_versions(f"run_id = '{seen.run_id}'", order_by=["name ASC"])
    assert {one.name for one in made_of} == {seen.name, f"{seen.name}-kept"}
    first = client.search_model_versions(f"name = '{seen.name}'", max_results=1)
    assert first.token
    (tagged,) = client.search_model_versions(f"name = '{seen.name}' and tags.origin = 'matrix'")
    assert int(tagged.version) == 1


@step("tags and descriptions of versions")
def version_notes(seen: Seen) -> None:
    client = MlflowClient()
    client.set_model_version_tag(seen.name, "1", "a", "b")
    client.set_model_version_tag(seen.name, "1", "gone", "b")
    client.delete_model_version_tag(seen.name, "1", "gone")
    client.update_model_version(seen.name, "1", description="said")
    found = client.get_model_version(seen.name, "1")
    assert found.description == "said"
    assert found.tags == {"origin": "matrix", "a": "b"}


@step("tags and descriptions of models")
def model_notes(seen: Seen) -> None:
    client = MlflowClient()
    client.set_registered_model_tag(seen.name, "a", "b")
    client.set_registered_model_tag(seen.name, "gone", "b")
    client.delete_registered_model_tag(seen.name, "gone")
    client.update_registered_model(seen.name, description="said")
    found = client.get_registered_model(seen.name)
    assert (found.description, found.tags) == ("said", {"a": "b"})


@step("stages")
def stages(seen: Seen) -> None:
    client = MlflowClient()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moved = client.transition_model_version_stage(seen.name, "1", "Production")
        assert moved.current_stage == "Production"
        client.transition_model_version_stage(
            seen.name, "2", "Production", archive_existing_versions=True
        )
        (latest,) = client.get_latest_versions(seen.name, stages=["Production"])
    assert int(latest.version) == 2
    assert client.get_model_version(seen.name, "1").current_stage == "Archived"
    assert len(mlflow.pyfunc.load_model(f"models:/{seen.name}/Production").predict(ROWS)) == 4


@step("what the registry does not have")
def missing(seen: Seen) -> None:
    client = MlflowClient()
    for call in (
        lambda: client.get_registered_model("no-such-model"),
        lambda: client.get_model_version(seen.name, "99"),
        lambda: mlflow.pyfunc.load_model("models:/no-such-model/1"),
    ):
        assert code(call) == "RESOURCE_DOES_NOT_EXIST"
    by_alias = code(lambda: client.get_model_version_by_alias(seen.name, "nobody"))
    assert by_alias == "INVALID_PARAMETER_VALUE"
