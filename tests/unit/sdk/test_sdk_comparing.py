"""Comparisons: what differs, and which is best."""

from pathlib import Path

import pytest
from trainyard.comparing import Result, less_is_better, line_up, result_of

SHALLOW = Result(
    "shallow", "a", params={"depth": "2", "seed": "7"}, metrics={"acc": 0.5, "loss": 2.0}
)
DEEP = Result("deep", "b", params={"depth": "12", "seed": "7"}, metrics={"acc": 0.9, "loss": 0.1})
EMPTY = Result("empty", "c")


def test_only_parameters_that_differ_are_shown() -> None:
    found = line_up([SHALLOW, DEEP])

    assert [(line.name, line.values) for line in found.params] == [("depth", ("2", "12"))]
    assert found.same_params == 1


def test_a_parameter_that_one_run_lacks_differs() -> None:
    assert [line.name for line in line_up([DEEP, EMPTY]).params] == ["depth", "seed"]


def test_the_best_is_the_highest_or_for_a_loss_the_lowest() -> None:
    best = {line.name: line.best for line in line_up([SHALLOW, DEEP]).metrics}

    assert best == {"acc": {1}, "loss": {1}}


@pytest.mark.parametrize(
    ("values", "best"),
    [
        pytest.param([0.5, 0.5], set(), id="all the same: none is best"),
        pytest.param([0.9, 0.9, 0.1], {0, 1}, id="a tie has two"),
        pytest.param([float("nan"), 0.1], {1}, id="NaN is never best"),
        pytest.param([float("nan"), float("nan")], set(), id="all NaN"),
        pytest.param([0.5], set(), id="one run alone"),
    ],
)
def test_edges_of_the_best(values: list[float], best: set[int]) -> None:
    runs = [Result(str(at), str(at), metrics={"acc": value}) for at, value in enumerate(values)]

    assert line_up(runs).metrics[0].best == best


@pytest.mark.parametrize(
    ("metric", "less"),
    [
        ("val_loss", True),
        ("training_log_loss", True),
        ("rmse", True),
        ("mean_squared_error", True),
        ("accuracy", False),
        ("f1_score", False),
        ("blossom", False),
    ],
)
def test_which_way_is_up(metric: str, *, less: bool) -> None:
    assert less_is_better(metric) is less


def test_json_has_the_best_by_name_and_nan_as_text() -> None:
    odd = Result("odd", "d", metrics={"acc": float("nan")})

    assert line_up([DEEP, odd, SHALLOW]).as_object()["metrics"]["acc"] == {
        "values": {"deep": 0.9, "odd": "nan", "shallow": 0.5},
        "best": ["deep"],
    }


def test_a_run_is_read_as_mlflow_gives_it() -> None:
    found = result_of(
        {
            "info": {"run_id": "a", "run_name": "calm-owl", "status": "FINISHED"},
            "data": {
                "metrics": [{"key": "acc", "value": "NaN"}],
                "params": [{"key": "depth", "value": "2"}],
            },
        }
    )

    assert (found.name, found.params) == ("calm-owl", {"depth": "2"})
    assert found.metrics["acc"] != found.metrics["acc"]


TWINS = [
    Result("digits", "b" * 32, params={"depth": "2"}, metrics={"acc": 0.5}),
    Result("digits", "c" * 32, params={"depth": "12"}, metrics={"acc": 0.9}),
]


def test_two_runs_of_one_name_are_told_apart() -> None:
    found = line_up(TWINS)
    data = found.as_object()

    assert found.labels == ("digits (bbbbbbbb)", "digits (cccccccc)")
    assert data["params"]["depth"] == {"digits (bbbbbbbb)": "2", "digits (cccccccc)": "12"}
    assert data["metrics"]["acc"]["values"] == {"digits (bbbbbbbb)": 0.5, "digits (cccccccc)": 0.9}
    assert data["metrics"]["acc"]["best"] == ["digits (cccccccc)"]


def test_a_run_that_is_named_twice_is_compared_once() -> None:
    assert line_up([*TWINS, TWINS[0]]).runs == tuple(TWINS)


def test_a_drawing_has_a_bar_for_each_run(tmp_path: Path) -> None:
    figure = line_up(TWINS).plot(tmp_path / "two.svg")

    assert len(figure.axes[0].patches) == 2
    assert len({bar.get_y() for bar in figure.axes[0].patches}) == 2  # type: ignore[attr-defined]  # bars are rectangles
    assert (tmp_path / "two.svg").read_text().startswith("<?xml")


def test_the_table_stresses_the_best() -> None:
    table = line_up(TWINS).table()

    assert table.rows[-1] == ["acc", "0.5", "0.9 *"]
    assert table.strong == {(len(table.rows) - 1, 2)}
