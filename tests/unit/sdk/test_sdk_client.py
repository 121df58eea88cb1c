"""The verbs, against an API server on this machine."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trainyard as ty
from builders.sdk import (
    NAMESPACE,
    USER,
    FakeCluster,
    condition,
    finished,
    model_object,
    run_object,
    write_kubeconfig,
)
from trainyard import _tracking
from trainyard._tracking import Tracking
from trainyard.client import Client
from trainyard.submission import build_run
from trainyard_api.contract import AUTHORIZATION_HEADER


def a_run(name: str) -> ty.Run:
    spec = {"command": ["true"], "runtime": "sklearn"}
    return build_run({"metadata": {"name": name}, "spec": spec})


def test_a_resource_is_created_in_the_contexts_namespace(client: Client) -> None:
    created = client.create(a_run("one"))

    assert (created.metadata.name, created.metadata.namespace) == ("one", NAMESPACE)
    assert client.get(ty.Run, "one").spec.command == ["true"]


def test_a_generated_name_comes_back_complete(client: Client) -> None:
    run = build_run({"metadata": {"generateName": "x-"}, "spec": {"command": ["a"], "image": "b"}})

    assert client.create(run).metadata.name == "x-x7k2p"


def test_a_name_that_is_taken_is_a_conflict(client: Client) -> None:
    client.create(a_run("one"))

    with pytest.raises(ty.Conflict, match="already exists"):
        client.create(a_run("one"))


def test_a_broken_rule_names_its_field(client: Client) -> None:
    with pytest.raises(ty.Refused, match=r"spec\.timeout: Invalid value"):
        client.create(a_run("invalid"))


def test_a_number_where_text_is_due_is_refused_with_the_spelling_that_works() -> None:
    spec = {"command": ["a"], "image": "b", "resources": {"requests": {"cpu": 0.2}}}

    with pytest.raises(ty.InvalidInput, match=r'requests\.cpu.*: write it as "0\.2"'):
        build_run({"metadata": {"name": "x"}, "spec": spec})


def test_a_missing_resource_is_not_found(client: Client) -> None:
    with pytest.raises(ty.NotFound, match="get Run none"):
        client.get(ty.Run, "none")


def test_a_missing_right_says_who_grants_it(client: Client, cluster: FakeCluster) -> None:
    cluster.forbidden.add("/apis/trainyard.dev")

    with pytest.raises(ty.Forbidden) as error:
        client.list(ty.Run)
    assert "trainyard-scientist" in error.value.fix


def test_all_of_a_kind_are_listed_typed(client: Client, cluster: FakeCluster) -> None:
    cluster.put("runs", run_object("a"))
    cluster.put("runs", finished("b", metrics={"acc": "0.9"}))

    assert [run.status.metrics for run in client.list(ty.Run)] == [{}, {"acc": "0.9"}]


def test_a_deleted_resource_is_gone(client: Client) -> None:
    client.create(a_run("one"))
    client.delete(ty.Run, "one")

    assert client.list(ty.Run) == []


def test_a_watch_shows_what_is_there_and_then_what_changes(
    client: Client, cluster: FakeCluster
) -> None:
    cluster.put("runs", run_object("one", phase="Pending"))
    watch = client.watch(ty.Run, "one")
    kind, first = next(watch)
    cluster.put("runs", run_object("two"))
    cluster.put("runs", run_object("one", phase="Running"))
    event, second = next(watch)
    watch.close()

    assert (kind, first.status.phase) == ("ADDED", "Pending")
    assert (event, second.status.phase) == ("MODIFIED", "Running")


@pytest.mark.parametrize("good", [True, False])
def test_a_wait_returns_on_every_outcome(
    client: Client, cluster: FakeCluster, *, good: bool
) -> None:
    cluster.put("runs", run_object("one", phase="Pending"))
    seen: list[str | None] = []

    def later(run: ty.Run) -> None:
        if not seen:
            end = finished("one", good=good, code=3)
            threading.Thread(target=cluster.put, args=("runs", end)).start()
        seen.append(run.status.phase)

    run = client.wait(client.get(ty.Run, "one"), timeout=10, seen=later)

    assert run.status.phase == ("Succeeded" if good else "Failed")
    assert seen == ["Pending", run.status.phase]


def test_a_wait_that_takes_too_long_says_where_it_stands(
    client: Client, cluster: FakeCluster
) -> None:
    waits = condition("Finished", "False", "Unschedulable", "No node has 64 CPUs")
    cluster.put("runs", run_object("one", conditions=[waits]))

    with pytest.raises(ty.TimedOut, match="Unschedulable, No node has 64 CPUs"):
        client.wait(client.get(ty.Run, "one"), timeout=0.01)


def test_a_wait_for_something_deleted_ends(client: Client, cluster: FakeCluster) -> None:
    cluster.put("runs", run_object("one"))
    run = client.get(ty.Run, "one")

    with pytest.raises(ty.NotFound, match="deleted while"):
        client.wait(run, timeout=10, seen=lambda _: client.delete(ty.Run, "one"))


def test_the_username_is_what_the_cluster_says(client: Client) -> None:
    assert client.username == USER


def test_the_token_travels_in_a_header_of_its_own(client: Client, cluster: FakeCluster) -> None:
    client.tracking.json("GET", "/anything", what="try", namespace=NAMESPACE)
    headers = cluster.requests[-1][2]

    assert headers[AUTHORIZATION_HEADER] == "Bearer secret"
    assert headers["X-MLFLOW-WORKSPACE"] == NAMESPACE


def test_without_a_token_the_chart_account_lends_one(
    server: str, cluster: FakeCluster, tmp_path: Path
) -> None:
    path = write_kubeconfig(tmp_path / "certificate", server, token="")
    client = Client(kubeconfig=str(path))
    for _ in range(2):
        client.tracking.json("GET", "/anything", what="try")
    client.close()
    asked = [path for _, path, _ in cluster.requests if path.endswith("/token")]

    assert cluster.requests[-1][2][AUTHORIZATION_HEADER] == "Bearer token-of-trainyard-user"
    assert len(asked) == 1


@pytest.mark.parametrize(
    "later",
    [pytest.param((3600, 0), id="a laptop slept"), pytest.param((0, 3600), id="a clock was set")],
)
def test_a_token_is_made_anew_when_either_clock_says_that_it_ends(
    server: str,
    cluster: FakeCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: tuple[float, float],
) -> None:
    path = write_kubeconfig(tmp_path / "certificate", server, token="")
    monkeypatch.setattr(_tracking, "_clocks", lambda: (1.0, 1.0))
    with Client(kubeconfig=str(path)) as client:
        client.tracking.healthy()
        client.tracking.healthy()
        asked = len(cluster.token_requests)
        monkeypatch.setattr(_tracking, "_clocks", lambda: later)
        client.tracking.healthy()

    assert (asked, len(cluster.token_requests)) == (1, 2)


@pytest.mark.parametrize(
    ("writes_registry", "audiences"), [(False, ["trainyard-tracking"]), (True, None)]
)
def test_a_token_that_is_made_is_for_the_tracking_service_alone_unless_it_writes_the_registry(
    server: str,
    cluster: FakeCluster,
    tmp_path: Path,
    writes_registry: bool,
    audiences: list[str] | None,
) -> None:
    path = write_kubeconfig(tmp_path / "certificate", server, token="")
    with Client(kubeconfig=str(path)) as client:
        Tracking.of(client.kube, writes_registry=writes_registry).healthy()

    (asked,) = cluster.token_requests
    assert asked["spec"].get("audiences") == audiences


@pytest.mark.parametrize("text", [b"{{{", b"- a", b"\xff\xfe", b"contexts: [{name: 1}]"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(text)

    with pytest.raises(ty.InvalidInput, match="KUBECONFIG"):
        Client(kubeconfig=str(file))


@pytest.mark.parametrize(
    ("usual", "asked", "options"),
    [
        pytest.param("default", "", "", id="where everybody is"),
        pytest.param("default", "vision", " -n vision", id="another namespace"),
        pytest.param("vision", "", " -n vision", id="that of the context, which may be changed"),
        pytest.param("vision", "default", " -n default", id="not that of the context"),
    ],
)
def test_what_to_type_next_leads_to_the_same_namespace(
    kubeconfig: Path, usual: str, asked: str, options: str
) -> None:
    kubeconfig.write_text(kubeconfig.read_text().replace("namespace: dev", f"namespace: {usual}"))

    here = Client(kubeconfig=str(kubeconfig), namespace=asked or None)
    there = Client(kubeconfig=str(kubeconfig), namespace=asked or None, context="test")

    assert here.command_options() == options
    assert there.command_options() == f"{options} --context test"


def test_an_unknown_context_names_those_that_there_are(kubeconfig: Path) -> None:
    with pytest.raises(ty.InvalidInput, match="there are test"):
        Client(context="prod", kubeconfig=str(kubeconfig))


def test_a_cluster_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "gone", "http://127.0.0.1:9")
    client = Client(kubeconfig=str(path), patience=0)

    with pytest.raises(ty.Unreachable, match="'test'"):
        client.list(ty.Run)
    client.close()


def test_no_kubeconfig_at_all_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ty.InvalidInput) as error:
        Client(kubeconfig=str(tmp_path / "none"))
    assert "--local" in error.value.fix


def test_a_folder_becomes_a_run_and_travels_once(
    client: Client, cluster: FakeCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "01-My_Job"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    run = ty.run(folder, client=client, parameters={"depth": 2, "lr": 1.0}, register="digits")
    ty.run(folder, ["python", "-V"], client=client, name="other")

    assert run.metadata.name == "my-job-x7k2p"
    assert run.spec.command == ["python", "train.py"]
    assert run.spec.parameters == {"depth": 2, "lr": "1.0"}
    assert list(cluster.blobs) == [
        json.loads(json.dumps(run.to_object()))["spec"]["source"]["archive"]["digest"]
    ]
    assert len([verb for verb, _, _ in cluster.requests if verb == "PUT"]) == 1


def test_a_run_that_the_cluster_refuses_does_not_travel(
    client: Client, cluster: FakeCluster, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    cluster.put("runs", run_object("mine"))

    with pytest.raises(ty.Conflict):
        ty.run(tmp_path, client=client, name="mine")
    assert not cluster.blobs


def _portal(handler: Any) -> bool:
    handler.answer(200, b"<html>Log in</html>", "text/html")
    return True


def _moved(handler: Any) -> bool:
    handler.send_response(302)
    handler.send_header("Location", "https://login.example/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


def _another(handler: Any) -> bool:
    handler.give({"error": "login"})
    return True


def test_an_object_of_another_service_is_no_empty_list(
    client: Client, cluster: FakeCluster
) -> None:
    cluster.outages = [_another]
    with pytest.raises(ty.ApiError, match="list runs in dev: the answer is no list"):
        list(client.list(ty.Run))


def test_a_namespace_is_all_of_its_part_of_a_path(client: Client, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("digits"))

    with pytest.raises(ty.TrainyardError):
        list(client.list(ty.Run, namespace="dev/x/.."))


@pytest.mark.parametrize("answers", [_portal, _moved])
def test_an_answer_that_is_not_the_servers_own_is_no_empty_list(
    client: Client, cluster: FakeCluster, answers: Callable[[Any], bool]
) -> None:
    asks: list[Callable[[], object]] = [
        lambda: list(client.list(ty.Run)),
        lambda: client.get(ty.Run, "digits"),
        lambda: client.delete(ty.Run, "digits"),
        lambda: ty.predict("digits", [[1]], client=client),
        lambda: client.tracking.summary("dev", "a" * 32),
    ]
    for ask in asks:
        cluster.outages = [answers]
        with pytest.raises(ty.ApiError, match=r"login|is no JSON"):
            ask()


@pytest.mark.parametrize("name", ["", "digits?x", "digits#x", "x/../digits", "../models/digits"])
def test_a_name_is_all_of_the_last_part_of_a_path(
    client: Client, cluster: FakeCluster, name: str
) -> None:
    cluster.put("runs", finished("digits"))
    cluster.put("models", model_object("digits"))

    with pytest.raises(ty.TrainyardError):
        client.delete(ty.Run, name)
    assert len(cluster.objects) == 2
