"""What Tab offers, as a shell asks for it."""

import json
import socket
import time
from pathlib import Path

import pytest
from builders.sdk import NAMESPACE, FakeCluster, model_object, run_object
from trainyard.cli import app, completion
from typer.testing import CliRunner


def tab(*words: str) -> list[str]:
    """Return what is offered for the last of *words*."""
    env = {
        "_TRAINYARD_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["trainyard", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return CliRunner().invoke(app, [], prog_name="trainyard", env=env).stdout.split()


def version(model: str, number: int) -> dict[str, object]:
    spec = {"model": model, "version": number, "source": {"uri": "runs:/abc/model"}}
    return {"kind": "ModelVersion", "metadata": {"name": f"{model}-{number}"}, "spec": spec}


@pytest.fixture
def filled(kubeconfig: Path, cluster: FakeCluster) -> FakeCluster:
    cluster.put("runs", run_object("deep"))
    cluster.put("runs", run_object("shallow"))
    cluster.put("models", model_object("digits", aliases={"champion": 2, "production": 1}))
    cluster.put("experiments", {"metadata": {"name": "wine"}, "spec": {}})
    served = {"model": {"name": "digits", "version": 1}}
    cluster.put("modeldeployments", {"metadata": {"name": "canary"}, "spec": served})
    for model, number in (("digits", 1), ("digits", 10), ("digits", 2), ("other", 7)):
        cluster.put("modelversions", version(model, number))
    return cluster


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("prom",), ["promote"]),
        (("get", "mod"), ["models", "modelversions", "modeldeployments"]),
        (("logs", ""), ["deep", "shallow"]),
        (("logs", "sh"), ["shallow"]),
        (("describe", "model", ""), ["digits"]),
        (("promote", "d"), ["digits"]),
        (("promote", "digits", ""), ["10", "2", "1"]),
        (("promote", "digits", "2", "--to", ""), ["production", "champion"]),
        (("rollback", "digits", "--stage", "p"), ["production"]),
        (("serve", "digits@p"), ["digits@production"]),
        (("promote", "nothing", "1", "--to", ""), []),
        (("ui", ""), ["deep", "digits", "shallow", "wine"]),
        (("ui", "run/d"), ["run/deep"]),
        (("status", "-n", ""), [NAMESPACE]),
        (("run", ".", "--register", "d"), ["digits"]),
        (("run", ".", "--register", "digits:"), []),
        (("compare", "-e", "w"), ["wine"]),
        (("serve", "digits@production", "--name", ""), ["canary"]),
    ],
)
def test_tab_offers_what_there_is(
    filled: FakeCluster, words: tuple[str, ...], offered: list[str]
) -> None:
    assert tab(*words) == offered


def test_without_a_cluster_tab_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert tab("promote", "") == []


def test_a_cluster_that_takes_calls_and_does_not_answer_holds_no_shell_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_PATIENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = {
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        (tmp_path / "config").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        begun = time.monotonic()

        assert tab("promote", "") == []

    assert time.monotonic() - begun < 10
