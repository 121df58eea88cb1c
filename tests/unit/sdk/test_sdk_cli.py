"""The command line, as typed: output, messages, exit codes."""

import sys
from pathlib import Path
from typing import Any

import pytest
from builders.sdk import USER, FakeCluster, condition, finished, model_object, run_object
from trainyard.cli import app
from trainyard.cli.run import sum_up
from trainyard.cli.terminal import LiveLog
from trainyard_api.run import Run
from typer.testing import CliRunner, Result


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def job(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.py").write_text("print('hello')")
    return folder


def test_a_run_is_followed_to_its_end(
    kubeconfig: Path, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.recorded_logs["a" * 32, "1"] = b"hello\n"
    put = cluster.put

    def at_once(plural: str, body: dict, event: str = "MODIFIED") -> dict:  # type: ignore[type-arg]  # as FakeCluster.put
        stored = put(plural, body, event)
        if event == "ADDED":
            put(plural, {**finished("job-x7k2p", metric="acc=0.9"), "spec": body["spec"]})
        return stored

    cluster.put = at_once  # type: ignore[method-assign]  # the operator, at once
    done = call("run", str(job(tmp_path / "job")), "-p", "depth=2")

    assert done.exit_code == 0
    assert done.stdout == "hello\n"
    assert "job-x7k2p: Succeeded, acc=0.9" in done.stderr
    assert "trainyard ui job-x7k2p -n dev\n" in done.stderr


def test_describe_leads_with_the_verdict_and_ends_with_the_spec(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("runs", finished("bad", good=False, code=3))
    said = call("describe", "run", "bad").stdout

    assert said.index("Failed: ExitCode") < said.index("trainyard rerun bad")
    assert said.index("trainyard rerun bad") < said.index("Succeeded=False")
    assert said.index("Succeeded=False") < said.index("Spec:")
    assert "trainyard ui run/bad -n dev\n" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [(["digits"], "no kind 'digits'"), (["run"], "No Run is named")],
    ids=["a name without its kind", "a kind alone"],
)
def test_describe_says_which_word_is_missing(kubeconfig: Path, words: list[str], said: str) -> None:
    done = call("describe", *words)

    assert done.exit_code == 1
    assert said in done.stderr


def test_describe_names_no_page_that_is_not_there(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", run_object("fresh"))

    assert "trainyard ui" not in call("describe", "run", "fresh").stdout


def test_models_show_which_mlflow_name_they_stand_for(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    model = model_object("churn-model-1a2b3c4d")
    model["spec"]["name"] = "Churn Model"
    cluster.put("models", model)

    assert "Churn Model" in call("models").stdout


def test_what_stays_behind_is_told(kubeconfig: Path, tmp_path: Path) -> None:
    folder = job(tmp_path / "job")
    (folder / ".gitignore").write_text("*.csv")
    for number in range(7):
        (folder / f"{number}.csv").write_text("")
    said = call("run", str(folder), "-d").stderr

    assert "as .gitignore says: 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more. " in said
    assert "--include '0.csv'\n" in said


def test_a_run_that_dies_of_what_stayed_behind_says_how_to_take_it_along(
    kubeconfig: Path, cluster: FakeCluster, tmp_path: Path
) -> None:
    put = cluster.put
    ended = finished("job-x7k2p", good=False, code=1)
    ended["status"]["attempts"][0]["logTail"] = ["No such file: 'data/train.csv'"]

    def at_once(plural: str, body: dict, event: str = "MODIFIED") -> dict:  # type: ignore[type-arg]  # as FakeCluster.put
        stored = put(plural, body, event)
        if event == "ADDED":
            put(plural, {**ended, "spec": body["spec"]})
        return stored

    cluster.put = at_once  # type: ignore[method-assign]  # the operator, at once
    folder = job(tmp_path / "job")
    (folder / ".gitignore").write_text("data/\nnotes.txt")
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_text("1")
    (folder / "notes.txt").write_text("")
    said = call("run", str(folder)).stderr

    assert "Its last words name what .gitignore left behind: data/.\n" in said
    assert "--include 'data/'" in said.split("Its last words")[1]


def test_a_detached_run_prints_its_name_alone(kubeconfig: Path, tmp_path: Path) -> None:
    done = call("run", str(job(tmp_path / "job")), "-d", "--", "python", "-c", "print(1)")

    assert done.stdout == "job-x7k2p\n"


def test_a_local_run_needs_no_kubeconfig_and_has_the_programs_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = job(tmp_path / "job")
    (folder / "train.py").write_text("raise SystemExit(4)")

    assert call("run", "--local", str(folder)).exit_code == 4


@pytest.mark.parametrize(
    "option",
    [("--register", "m"), ("--retry", "1"), ("--timeout", "1h"), ("--memory", "1Gi"), ("-d",)],
    ids=" ".join,
)
def test_a_local_run_says_which_options_do_nothing(tmp_path: Path, option: tuple[str, ...]) -> None:
    done = call("run", "--local", str(job(tmp_path / "job")), *option, "--", "true")

    name = "detach" if option == ("-d",) else option[0].removeprefix("--")
    assert f"--{name} needs a cluster and does nothing with --local" in done.stderr
    assert done.exit_code == 0


def test_a_slip_is_told_before_anything_travels(
    kubeconfig: Path, cluster: FakeCluster, tmp_path: Path
) -> None:
    folder = str(job(tmp_path / "job"))
    no_value = call("run", folder, "-p", "depth")
    too_long = call("run", folder, "-e", "x" * 300)

    assert "→ Write it as -p depth=VALUE" in no_value.stderr
    assert "spec.experiment" in too_long.stderr
    assert (no_value.exit_code, too_long.exit_code) == (1, 1)
    assert not cluster.requests


def test_a_name_that_is_taken_is_told_before_anything_travels(
    kubeconfig: Path, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.put("runs", run_object("mine"))
    done = call("run", str(job(tmp_path / "job")), "--name", "mine")

    assert done.exit_code == 1
    assert "already exists" in done.stderr
    assert not cluster.blobs


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 3)])
def test_following_a_finished_run_has_its_exit_code(
    kubeconfig: Path, cluster: FakeCluster, *, good: bool, code: int
) -> None:
    cluster.put("runs", finished("one", good=good, code=code))
    cluster.recorded_logs["a" * 32, "1"] = b"from tracking, no newline"
    done = call("logs", "-f", "one")

    assert done.exit_code == code
    assert done.stdout == "from tracking, no newline\n"


def test_a_log_without_rights_to_the_pod_comes_from_tracking(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("runs", finished("one"))
    cluster.recorded_logs["a" * 32, "1"] = b"recorded\n"
    cluster.forbidden.add("/api/v1/namespaces/dev/pods")

    assert call("logs", "one").stdout == "recorded\n"


def test_a_log_that_nobody_has_shows_the_last_lines_of_the_status(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    run = finished("one", good=False, code=1)
    run["status"]["attempts"][0]["logTail"] = ["the end"]
    cluster.put("runs", run)

    assert call("logs", "one").stdout == "the end\n"


def test_a_run_that_waits_says_what_for(kubeconfig: Path, cluster: FakeCluster) -> None:
    waits = condition("Finished", "False", "Unschedulable", "No node has 64 CPUs")
    cluster.put("runs", run_object("one", conditions=[waits]))
    done = call("logs", "one")

    assert "Unschedulable: No node has 64 CPUs" in done.stderr


def test_a_rerun_changes_parameters_only(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("one"))
    done = call("rerun", "one", "-p", "depth=9", "-p", "fast=true", "-d")
    spec = cluster.objects["runs", "one-x7k2p"]["spec"]

    assert done.stdout == "one-x7k2p\n"
    assert spec["parameters"] == {"depth": 9, "fast": True}
    assert spec["command"] == ["python", "train.py"]


def test_a_run_says_who_made_it(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("one"))
    call("rerun", "one", "-d")

    annotations = cluster.objects["runs", "one-x7k2p"]["metadata"]["annotations"]
    assert annotations == {"trainyard.dev/created-by": USER}


def test_who_may_not_ask_for_their_own_name_still_runs(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("runs", finished("one"))
    cluster.forbidden = {"/apis/authentication.k8s.io/"}
    call("rerun", "one", "-d")

    assert "annotations" not in cluster.objects["runs", "one-x7k2p"]["metadata"]


def test_cancel_is_for_runs_that_go_on(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("old"))
    cluster.put("runs", run_object("new"))
    done = call("cancel", "old", "new")

    assert done.stdout == "run/old had finished already: Succeeded\nrun/new cancelled\n"
    assert cluster.objects["runs", "new"]["spec"]["cancel"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cancel", "nope", "new"), "run/new cancelled\n"),
        (("delete", "run", "nope", "new", "-y"), "run/new deleted\n"),
    ],
    ids=["cancel", "delete"],
)
def test_a_name_that_is_not_there_does_not_keep_the_others(
    kubeconfig: Path, cluster: FakeCluster, words: tuple[str, ...], said: str
) -> None:
    cluster.put("runs", run_object("new"))
    done = call(*words)

    assert done.exit_code == 1
    assert done.stdout == said
    assert 'runs "nope" not found' in done.stderr


@pytest.mark.parametrize("option", [("-A",), ("-l", "team=vision")], ids=" ".join)
def test_names_and_a_choice_of_all_do_not_go_together(
    kubeconfig: Path, cluster: FakeCluster, option: tuple[str, ...]
) -> None:
    cluster.put("runs", run_object("one"))
    done = call("get", "run", "one", *option)

    assert done.exit_code == 1
    assert f"Names and {option[0]} do not go together" in done.stderr


def second_attempt(**status: object) -> dict[str, Any]:
    attempts = [
        {"number": 1, "job": "j", "pod": "p", "completionTime": "2026-01-02T03:05:05Z"},
        {"number": 2, "job": "k", "pod": "q"},
    ]
    goes_on = condition("Finished", "False", "Running", "its program runs")
    return run_object("one", runID="a" * 32, attempts=attempts, conditions=[goes_on], **status)


def test_following_an_attempt_that_is_over_says_that_the_run_goes_on(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("runs", second_attempt())
    cluster.recorded_logs["a" * 32, "1"] = b"first\n"
    done = call("logs", "-f", "one", "--attempt", "1")

    assert (done.exit_code, done.stdout) == (0, "first\n")
    assert "Attempt 1 is over, and one goes on: Running: its program runs" in done.stderr


def test_a_log_without_a_word_is_said_to_be_empty(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("one"))
    done = call("logs", "one")

    assert done.stdout == ""
    assert "one has printed nothing: Completed" in done.stderr


def test_a_success_that_is_not_recorded_is_said_to_be_half_of_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = finished("one")
    away = condition("Recorded", "False", "TrackingUnavailable", "The service is away")
    body["status"]["conditions"][-1] = away
    sum_up(Run.model_validate(body), " -n dev")
    told = capsys.readouterr().err

    assert "one: Succeeded" in told
    assert "not on record yet: TrackingUnavailable: The service is away" in told
    assert "trainyard describe run one -n dev\n" in told


def test_delete_asks_or_is_told_yes(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", run_object("old"))
    unasked = call("delete", "run", "old")

    assert unasked.exit_code == 1
    assert "-y" in unasked.stderr
    assert ("runs", "old") in cluster.objects
    assert call("delete", "run", "old", "-y").stdout == "run/old deleted\n"
    assert ("runs", "old") not in cluster.objects


def test_doctor_is_1_when_something_is_broken(kubeconfig: Path) -> None:
    done = call("doctor")

    assert done.exit_code == 1
    assert "cluster: Kubernetes v1.37.2" in done.stdout
    assert "helm install" in done.stdout


def test_without_a_kubeconfig_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = call("get", "runs")

    assert done.exit_code == 1
    assert "--local" in done.stderr


def test_a_terminal_that_draws_nothing_is_told_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    sink = LiveLog()
    sink.state("waiting for a node")
    sink.close()

    assert capsys.readouterr().err == "· waiting for a node\n"


def test_where_the_results_are_can_be_typed_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    told = call("run", "--local", str(job(tmp_path / "my job"))).stderr

    assert "mlflow ui --backend-store-uri 'sqlite:///my job/mlflow.db'\n" in told
