"""What the local cluster and its images are made from."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainyard_cluster import base, images, kind, shell

MIRROR = {"PIP_INDEX_URL": "https://user:it's@index.example/simple"}


def test_a_build_gets_the_index_and_the_certificates_of_this_machine() -> None:
    text = base.build_environment(MIRROR | {"HOME": "/home/me"}, certificates=True)

    shown = subprocess.run(
        ["sh", "-c", text + 'printf %s "$PIP_INDEX_URL $PIP_CERT"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shlex.split(text.splitlines()[0])[1] == f"PIP_INDEX_URL={MIRROR['PIP_INDEX_URL']}"
    assert shown == f"{MIRROR['PIP_INDEX_URL']} /run/certificates"
    assert "HOME" not in text


def test_a_build_without_certificates_or_index_changes_nothing() -> None:
    assert base.build_environment({"PIP_INDEX_URL": " "}, certificates=False) == ""


@pytest.mark.parametrize("name", images.IMAGES)
def test_requirements_are_pinned_as_the_distribution_pins_them(name: str) -> None:
    lines = images.requirements(images.IMAGES[name])

    assert lines == sorted(set(lines))
    assert not [line for line in lines if line.startswith("trainyard")]
    for pinned in ("mlflow-skinny", "pydantic", "kubernetes"):
        assert not [line for line in lines if line == pinned]


def test_the_images_of_a_runtime_have_the_versions_that_the_chart_promises() -> None:
    of_runtime = [image for image in images.IMAGES.values() if image.runtime]

    assert len(of_runtime) == 2
    for image in of_runtime:
        assert "scikit-learn" in {line.partition("==")[0] for line in images.constraints(image)}
        assert "-c /tmp/constraints.txt" in images.dockerfile(image).read_text()


@pytest.mark.parametrize("name", images.IMAGES)
def test_an_image_is_a_target_of_its_dockerfile(name: str) -> None:
    image = images.IMAGES[name]
    targets = re.findall(r"^FROM \S+ AS (\S+)$", images.dockerfile(image).read_text(), re.MULTILINE)

    assert image.target in targets or not (image.target or targets)


def test_every_dockerfile_makes_an_image() -> None:
    ours = {images.dockerfile(image) for image in images.IMAGES.values()}
    folders = base.paths.REPOSITORY / "images"

    assert {file.parent.name for file in {*folders.glob("*/Dockerfile")} - ours} == {
        "node",
        "python",
    }


@pytest.mark.parametrize(
    "step",
    [
        step
        for file in sorted((base.paths.REPOSITORY / "images").glob("*/Dockerfile"))
        for step in re.findall(r"^RUN (?:.*\\\n)*.*$", file.read_text(), re.MULTILINE)
        if "pip install" in step
    ],
)
def test_what_is_installed_by_a_build_finds_the_index_in_a_secret(step: str) -> None:
    assert "--mount=type=secret,id=build,target=/run/build.env" in step
    assert "--mount=type=secret,id=certificates,target=/run/certificates" in step
    assert "then . /run/build.env; fi" in step


@pytest.mark.parametrize("package", images.CODE)
def test_the_code_of_an_image_is_where_it_is_looked_for(package: str) -> None:
    assert (images.source(package) / "__init__.py").exists()


def kubelet(settings: dict[str, Any]) -> dict[str, Any]:
    patches = [yaml.safe_load(patch) for patch in settings["kubeadmConfigPatches"]]
    return next(patch for patch in patches if patch["kind"] == "KubeletConfiguration")


@pytest.mark.parametrize("built", [True, False])
def test_only_a_node_image_of_our_own_changes_how_the_cluster_is_set_up(built: bool) -> None:
    settings = kind.config(built=built)

    assert ("networking" in settings) is built
    assert ("failSwapOn" in kubelet(settings)) is built


@pytest.mark.parametrize("built", [True, False])
def test_nodes_drop_no_log_of_a_busy_program(built: bool) -> None:
    assert kubelet(kind.config(built=built))["containerLogMaxSize"] == "256Mi"


def test_raised_limits_reach_controllers_and_scheduler() -> None:
    patches = kind.config(built=False, raise_limits=True)["kubeadmConfigPatches"]
    patch = yaml.safe_load(patches[-1])

    assert {each["name"] for each in patch["controllerManager"]["extraArgs"]} == {
        "kube-api-qps",
        "kube-api-burst",
    }
    assert patch["scheduler"] == patch["controllerManager"]


def test_nothing_but_the_loopback_is_listened_on() -> None:
    for node in kind.config(built=True)["nodes"]:
        assert {port["listenAddress"] for port in node["extraPortMappings"]} == {"127.0.0.1"}


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_a_failed_program_shows_its_last_lines_and_the_remedy(caches: Path) -> None:
    words = ("sh", "-c", "echo all is lost; exit 3")

    failing = pytest.raises(shell.StepError, match=r"(?s)Boat: .*all is lost.*Bail it out")
    with failing, shell.step("Boat"):
        shell.run(*words, log="boat", remedy="Bail it out.")


def test_a_program_that_is_not_there_says_so(caches: Path) -> None:
    with pytest.raises(shell.StepError, match=r"no-such-program.*Install it"):
        shell.run("no-such-program", log="none", remedy="Install it.")
