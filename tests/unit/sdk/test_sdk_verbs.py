"""What a notebook calls: every verb of the command, without a client, and what it shows."""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trainyard as ty
from builders.sdk import FakeCluster, finished, run_object
from trainyard import session
from trainyard.cli import app
from trainyard.client import Client
from trainyard.running import PlainLog, missed
from trainyard.tables import Table


@pytest.fixture(autouse=True)
def _no_client_is_left(kubeconfig: Path) -> Iterator[None]:
    yield
    for client in session._default:
        client.close()
    session._default.clear()


CALLS: dict[str, tuple[Callable[[], Any], Callable[[Any], object], object]] = {
    "logs": (lambda: ty.logs("done"), str, "hello\n"),
    "follow": (lambda: ty.follow("done"), lambda run: run.status.phase, "Succeeded"),
    "wait": (lambda: ty.wait(ty.get("run", "done")), lambda run: run.status.phase, "Succeeded"),
    "wait ": (lambda: ty.wait("done"), lambda run: run.status.phase, "Succeeded"),
    "cancel": (lambda: ty.cancel("going"), lambda run: run.spec.cancel, True),
    "rerun": (
        lambda: ty.rerun("done", parameters={"depth": 9.0}),
        lambda run: (run.metadata.name, run.spec.parameters),
        ("done-x7k2p", {"depth": "9.0"}),
    ),
    "compare": (lambda: ty.compare("done"), lambda found: found.labels, ("done",)),
    "register": (lambda: ty.register("done", "digits"), lambda v: v.spec.version, 3),
    "promote": (lambda: ty.promote("digits", 1, stage="production"), lambda o: o.held, 1),
    "rollback": (lambda: ty.rollback("digits", stage="production"), lambda o: o.held, 1),
    "demote": (lambda: ty.demote("digits", stage="production"), lambda o: o.held, None),
    "serve": (lambda: ty.serve("digits/1"), lambda made: made.status.endpoint, "http://here"),
    "predict": (
        lambda: ty.predict("digits", [[1]]),
        lambda answer: answer["body"],
        {"inputs": [[1]]},
    ),
    "get": (lambda: ty.get(ty.Run, "done"), lambda run: run.metadata.name, "done"),
    "list": (
        lambda: ty.list("runs"),
        lambda runs: [run.metadata.name for run in runs],
        ["done", "going"],
    ),
    "describe": (
        lambda: ty.describe("run", "done"),
        lambda d: str(d).split("\n")[0][:8],
        "Run done",
    ),
    "status": (ty.status, lambda found: len(found.runs.rows), 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_verb_needs_no_client(filled: FakeCluster, name: str) -> None:
    call, part, wanted = CALLS[name]

    assert part(call()) == wanted


@pytest.mark.parametrize("name", [*CALLS, "run"])
def test_a_verb_takes_a_client_and_says_what_it_returns(name: str) -> None:
    signature = inspect.signature(getattr(ty, name.strip()))

    assert signature.parameters["client"].default is None
    assert signature.parameters["client"].kind is inspect.Parameter.KEYWORD_ONLY
    assert signature.return_annotation is not inspect.Signature.empty


def test_what_the_command_can_the_package_can() -> None:
    of_the_terminal = {"ui", "proxy", "doctor", "delete", "models", "versions"}
    commands = {str(each.name or each.callback.__name__) for each in app.registered_commands}  # type: ignore[union-attr]  # all have one

    assert commands - of_the_terminal <= {*CALLS, "run"}


def test_all_verbs_share_one_client_until_another_is_chosen(filled: FakeCluster) -> None:
    first = session.client_or_default(None)
    chosen = ty.use(namespace="vision")

    assert first is not chosen
    assert session.client_or_default(None) is chosen
    assert session._default == [chosen]
    first.close()


def test_a_run_of_another_namespace_is_asked_for_there(filled: FakeCluster, client: Client) -> None:
    run = ty.get("run", "going", client=client)
    filled.requests.clear()
    ty.cancel(run, client=client.in_namespace("elsewhere"))

    assert all("/namespaces/dev/" in path for _, path, _ in filled.requests)


def test_a_refused_promotion_is_an_error_with_the_way_back(
    filled: FakeCluster, client: Client
) -> None:
    put = filled.put
    refusal = {"version": 1, "reason": "GateRefused", "message": "val_accuracy 0.5 < 0.9"}

    def refuse(plural: str, body: dict[str, Any], event: str = "MODIFIED") -> dict[str, Any]:
        stored = put(plural, body, event)
        stages = [{"name": "production", "refusal": refusal}]
        stored["status"] = {"observedGeneration": 99, "stages": stages}
        return stored

    filled.put = refuse  # type: ignore[method-assign]  # the operator, at once
    with pytest.raises(ty.Rejected, match=r"val_accuracy 0\.5 < 0\.9") as error:
        ty.promote("digits", 1, stage="production", client=client)
    assert "trainyard demote digits --from production" in error.value.fix


def test_a_misspelt_option_of_a_run_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")

    with pytest.raises(ty.InvalidInput, match="no option 'paramters'") as error:
        ty.run(tmp_path, paramters={"depth": 1})
    assert "Did you mean parameters?" in error.value.fix


def test_a_frame_is_sent_with_its_columns_and_all_digits(filled: FakeCluster) -> None:
    frame = pd.DataFrame(
        {
            "score": [0.1 + 0.2, float("nan")],
            "count": pd.array([1, None], dtype="Int64"),
            "when": pd.to_datetime(["2026-01-02T03:04:05", None]),
            "single": pd.array([0.1, 0.2], dtype="float32"),
        },
        index=[7, 9],
    )

    assert ty.predict("digits", frame)["body"]["dataframe_split"] == {
        "columns": ["score", "count", "when", "single"],
        "data": [
            [0.30000000000000004, 1, "2026-01-02T03:04:05", 0.10000000149011612],
            [None, None, None, 0.20000000298023224],
        ],
    }


@pytest.mark.parametrize(
    ("data", "body"),
    [
        pytest.param(SimpleNamespace(tolist=lambda: [[1.5]]), {"inputs": [[1.5]]}, id="an array"),
        pytest.param(
            [[SimpleNamespace(tolist=lambda: 2)]],
            {"inputs": [[2]]},
            id="a number in a list",
        ),
        pytest.param({"instances": [1]}, {"instances": [1]}, id="a whole body"),
        pytest.param(
            np.array([["2026-01-02T03:04:05", "NaT"]], "datetime64[ns]"),
            {"inputs": [["2026-01-02T03:04:05.000000000", None]]},
            id="times",
        ),
        pytest.param([[np.datetime64("2026-01-02")]], {"inputs": [["2026-01-02"]]}, id="a day"),
        pytest.param([[b"\xff"]], {"inputs": [["/w=="]]}, id="bytes"),
        pytest.param(
            SimpleNamespace(columns=["a", "b"], to_dict=dict, rows=lambda: [(1, None)]),
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, None]]}},
            id="a frame of polars",
        ),
    ],
)
def test_what_notebooks_hold_is_sent_as_json(filled: FakeCluster, data: Any, body: object) -> None:
    assert ty.predict("digits", data)["body"] == body


@pytest.mark.parametrize("data", [[[float("nan")]], [[object()]]])
def test_what_is_no_json_is_refused_before_it_travels(filled: FakeCluster, data: Any) -> None:
    with pytest.raises(ty.InvalidInput, match="written as JSON"):
        ty.predict("digits", data)
    assert not filled.requests


def test_a_table_shows_text_and_never_markup() -> None:
    table = Table(("<b>",), [["<script>"], ["a&b"]], "x > y", frozenset({(1, 0)}))

    assert table._repr_html_() == (
        "<table><thead><tr><th>&lt;b&gt;</th></tr></thead><tbody><tr><td>&lt;script&gt;</td></tr>"
        "<tr><td><b>a&amp;b</b></td></tr></tbody></table><p>x &gt; y</p>"
    )
    assert str(table) == "<b>\n<script>\na&b\nx > y"


@pytest.mark.parametrize("name", ["compare", "list", "status"])
def test_what_notebooks_show_is_a_table(filled: FakeCluster, name: str) -> None:
    found = CALLS[name][0]()

    assert "<table>" in found._repr_html_()
    assert "done" in str(found)


def test_a_notebook_shows_a_run_as_a_row_with_its_verdict(
    client: Client, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, dict[type, Callable[..., str]]] = {"text/html": {}, "text/plain": {}}
    formatters = {kind: SimpleNamespace(for_type=into.__setitem__) for kind, into in shown.items()}
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters=formatters))
    notebook = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)  # type: ignore[arg-type]  # as much as is used
    cluster.put("runs", finished("bad", good=False, code=3))
    bad = client.in_namespace("other").get(ty.Run, "bad", namespace="dev")
    printed: list[str] = []

    [(kind, as_html)] = shown["text/html"].items()
    [(_, as_text)] = shown["text/plain"].items()
    as_text(bad, SimpleNamespace(text=printed.append), False)
    assert isinstance(bad, kind)
    for text in (as_html(bad), *printed):
        assert "ExitCode: The program ended with exit code 3" in text


def test_a_followed_log_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sink = PlainLog()
    sink.state("Pending: no room")
    sink.state("Pending: no room")
    for piece in (b"epoch \xe2\x96", b"\x88 1", b"\n", b"half"):
        sink.write(piece)
    sink.state("Retrying")

    assert capsys.readouterr().out == "· Pending: no room\nepoch █ 1\nhalf\n· Retrying\n"


def test_the_end_points_at_what_was_left_behind() -> None:
    run = finished("one", good=False, code=1)
    last = "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'"
    run["status"]["attempts"][0]["logTail"] = [last]
    failed = ty.Run.model_validate(run)

    assert missed(failed, ("data/", "vocab.pkl")) == ["data/"]
    assert missed(ty.Run.model_validate(run_object("new")), ("data/",)) == []
