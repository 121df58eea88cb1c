"""The Job that publishes a version."""

from builders import given
from builders.versions import SETTINGS, version
from trainyard_operator.engine.plan import Object
from trainyard_operator.versions.job import publishing_job


def containers_of_the_job() -> dict[str, Object]:
    job = publishing_job(version(), attempt=1, allowed=["onnx"], secret="t", settings=SETTINGS)
    pod = job["spec"]["template"]["spec"]
    return {c["name"]: c for c in [*pod["initContainers"], *pod["containers"]]}


def test_the_three_hand_on_one_folder_that_only_the_first_writes() -> None:
    containers = containers_of_the_job()

    writers = [
        name
        for name, c in containers.items()
        if any(m["name"] == "model" and not m["readOnly"] for m in c["volumeMounts"])
    ]
    assert list(containers) == ["fetch", "convert", "publish"]
    assert writers == ["fetch"]


def test_convert_holds_no_token_and_no_address() -> None:
    convert = containers_of_the_job()["convert"]

    assert "token" not in {m["name"] for m in convert["volumeMounts"]}
    assert "TRAINYARD_TRACKING_URL" not in {e["name"] for e in convert["env"]}
    assert convert["args"][-2:] == ["--allow", "onnx"]


def test_every_container_is_restricted() -> None:
    for container in containers_of_the_job().values():
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"]


def test_a_long_name_still_fits_a_label() -> None:
    long = given.model_version("m" * 50, 123456789)
    other = given.model_version("m" * 50, 123456780)

    first = publishing_job(long, attempt=12, allowed=(), secret="t", settings=SETTINGS)
    second = publishing_job(other, attempt=12, allowed=(), secret="t", settings=SETTINGS)

    assert len(first["metadata"]["name"]) <= 63
    assert first["metadata"]["name"] != second["metadata"]["name"]
