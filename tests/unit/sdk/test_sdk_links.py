"""Pages of MLflow's UI: which one a name leads to, and what the command does with it."""

from pathlib import Path

import pytest
from builders.sdk import FakeCluster, finished, model_object, run_object
from trainyard._proxy import TrackingProxy
from trainyard.cli import app
from trainyard.client import Client
from trainyard.errors import InvalidInput, NotFound
from trainyard.links import page
from typer.testing import CliRunner


@pytest.fixture
def filled(cluster: FakeCluster) -> FakeCluster:
    cluster.put("runs", finished("deep", experimentID="7"))
    cluster.put("runs", run_object("waiting"))
    cluster.put("runs", finished("both", experimentID="7"))
    cluster.put("models", model_object("both"))
    named = model_object("credit-risk-1a2b")
    named["spec"]["name"] = "Credit Risk"
    cluster.put("models", named)
    cluster.mlflow_experiments["vision"] = "9"
    return cluster


@pytest.mark.parametrize(
    ("target", "found"),
    [
        pytest.param("", "/#/experiments", id="nothing is the namespace"),
        pytest.param("deep", f"/#/experiments/7/runs/{'a' * 32}", id="a Run"),
        pytest.param("vision", "/#/experiments/9", id="an Experiment that only MLflow has"),
        pytest.param(
            "credit-risk-1a2b", "/#/models/Credit%20Risk", id="a Model by its MLflow name"
        ),
        pytest.param("model/both", "/#/models/both", id="the kind chooses among several"),
        pytest.param("runs/deep", f"/#/experiments/7/runs/{'a' * 32}", id="kubectl's kind names"),
    ],
)
def test_a_name_leads_to_its_page_in_its_workspace(
    client: Client, filled: FakeCluster, target: str, found: str
) -> None:
    assert page(client, target) == f"{found}?workspace=dev"


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        pytest.param("both", InvalidInput, "trainyard ui run/both", id="two kinds have the name"),
        pytest.param("nobody", NotFound, "no Run, Model or Experiment", id="none has it"),
        pytest.param("run/nobody", NotFound, "get Run nobody", id="the kind has none of it"),
        pytest.param("waiting", InvalidInput, "not on record", id="a Run without a record"),
        pytest.param("deployment/x", InvalidInput, "has no page", id="a kind without pages"),
        pytest.param("pod/x", InvalidInput, "no kind", id="no kind of ours"),
    ],
)
def test_a_name_without_a_page_is_said(
    client: Client, filled: FakeCluster, target: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        page(client, target)


@pytest.fixture
def closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: TrackingProxy, poll_interval: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrackingProxy, "serve_forever", interrupt)


@pytest.mark.parametrize(
    ("words", "screen", "opened"),
    [
        pytest.param([], ":0", True, id="a browser is opened"),
        pytest.param(["--no-open"], ":0", False, id="not if it is not wanted"),
        pytest.param([], "", False, id="not where there is no screen"),
    ],
)
@pytest.mark.usefixtures("closed_at_once", "kubeconfig")
def test_the_command_prints_the_address_and_opens_it(
    filled: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    screen: str,
    opened: bool,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("trainyard.cli.proxy._show", seen.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", screen)
    said = CliRunner().invoke(app, ["ui", "deep", "--port", "0", *words])

    assert said.exit_code == 0
    url = said.stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith(f"/#/experiments/7/runs/{'a' * 32}?workspace=dev")
    assert seen == ([url] if opened else [])


@pytest.mark.usefixtures("closed_at_once")
def test_a_taken_port_is_no_obstacle_unless_it_was_asked_for(
    client: Client, kubeconfig: Path, filled: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TrackingProxy(client.tracking, port=0, namespace="dev") as other:
        taken = other.server_address[1]
        monkeypatch.setattr("trainyard.cli.proxy._PORT", taken)
        free = CliRunner().invoke(app, ["ui", "--no-open"])
        refused = CliRunner().invoke(app, ["ui", "--no-open", "--port", str(taken)])

    assert (free.exit_code, refused.exit_code) == (0, 1)
    assert f":{taken}/" not in free.stdout
