"""`trainyard compare`: parameters and metrics of runs, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import complete_run
from trainyard.cli.options import Context, Form, Namespace, Output, client_for
from trainyard.cli.terminal import can_draw, note, show_data, show_table

if TYPE_CHECKING:
    from trainyard.client import Client
    from trainyard.comparing import Comparison, Result

_RUN_ID = 32

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs, by name or by MLflow run id.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
Experiment = Annotated[
    str, typer.Option("-e", "--experiment", help="All runs of this MLflow experiment.")
]
Last = Annotated[int, typer.Option(help="With -e: how many of the newest.", min=1)]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw the metrics to this file too (.png, .svg; needs matplotlib)."),
]


def compare(
    names: Names = None,
    *,
    experiment: Experiment = "",
    last: Last = 10,
    plot: Plot = None,
    output: Output = Form.TABLE,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Compare runs: the parameters that differ, the metrics, the best marked with *.

    Runs from laptops and notebooks in the same experiment are compared, too.

    \b
    Examples:
      trainyard compare digits-shallow digits-deep
      trainyard compare -e digits --last 20 -o json
    """
    from trainyard import comparing  # noqa: PLC0415  # not for --help
    from trainyard.errors import InvalidInput  # noqa: PLC0415

    if bool(names) == bool(experiment):
        raise InvalidInput(
            "Compare what?", fix="Name two Runs or more, or an experiment with -e EXPERIMENT"
        )
    client = client_for(namespace, context)
    results = (
        _of_experiment(client, experiment, last)
        if experiment
        else [_result(client, name) for name in names or []]
    )
    if not results:
        note(f"Experiment {experiment} has no runs yet")
        return
    comparison = comparing.compare(results)
    if plot is not None:
        _draw(comparison, plot)
    _print(comparison, output)


def _print(comparison: "Comparison", output: Form) -> None:
    if output is Form.NAME:
        for result in comparison.runs:
            print(result.name)
    elif output is Form.TABLE:
        _show(comparison)
    else:
        show_data(comparison.as_object(), output)


def _result(client: "Client", name: str) -> "Result":
    from trainyard_api.run import Run  # noqa: PLC0415

    from trainyard.comparing import result_of  # noqa: PLC0415  # not for --help
    from trainyard.errors import InvalidInput  # noqa: PLC0415

    run_id = name if _is_run_id(name) else client.get(Run, name).status.run_id
    if not run_id:
        raise InvalidInput(
            f"Run {name} is not recorded yet", fix="Wait until it has begun: trainyard get runs"
        )
    answer = client.tracking.mlflow(
        f"runs/get?run_id={run_id}", namespace=client.namespace, what=f"read run {name}"
    )
    return result_of(answer["run"], name="" if name == run_id else name)


def _of_experiment(client: "Client", name: str, last: int) -> "list[Result]":
    from urllib.parse import quote  # noqa: PLC0415  # not for --help

    from trainyard_api.attempts import ATTEMPT_OF_TAG  # noqa: PLC0415

    from trainyard.comparing import result_of  # noqa: PLC0415

    found = client.tracking.mlflow(
        f"experiments/get-by-name?experiment_name={quote(name)}",
        namespace=client.namespace,
        what=f"find experiment {name}",
    )
    answer = client.tracking.mlflow(
        "runs/search",
        namespace=client.namespace,
        what=f"list the runs of experiment {name}",
        body={
            "experiment_ids": [found["experiment"]["experiment_id"]],
            # Of a Run that tried again, the attempt that counts.
            "filter": f"tags.`{ATTEMPT_OF_TAG}` IS NULL",
            "max_results": last,
            "order_by": ["attributes.start_time DESC"],
        },
    )
    return [result_of(run) for run in answer.get("runs") or []]


def _is_run_id(name: str) -> bool:
    return len(name) == _RUN_ID and all(letter in "0123456789abcdef" for letter in name)


def _show(comparison: "Comparison") -> None:
    from trainyard.comparing import Line  # noqa: PLC0415  # not for --help

    def cells(line: Line) -> list[str]:
        marked = [f"{v} *" if at in line.best else v or "-" for at, v in enumerate(line.values)]
        return [line.name, *marked]

    titles = ("", *(run.name for run in comparison.runs))
    status = ["status", *(run.status for run in comparison.runs)]
    params = [cells(line) for line in comparison.params]
    metrics = [cells(line) for line in comparison.metrics]
    gap = [["", *("" for _ in comparison.runs)]]
    show_table(titles, [status, *gap * bool(params), *params, *gap * bool(metrics), *metrics])
    dash = "·" if can_draw() else "-"
    same = comparison.same_params
    hidden = f" {dash} {same} parameters are the same everywhere" if same else ""
    note(f"* best{hidden}", style="dim")


def _draw(comparison: "Comparison", path: Path) -> None:
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help

    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  # an extra of the user's
    except ImportError as exc:
        raise InvalidInput("Drawing needs matplotlib", fix="pip install matplotlib") from exc
    lines = comparison.metrics
    if not lines:
        raise InvalidInput("There are no metrics to draw", fix="Leave --plot out")
    figure = Figure(figsize=(8, 1.6 * len(lines) + 1), layout="constrained")
    names = [run.name for run in comparison.runs]
    for axes, line in zip(figure.subplots(len(lines), 1, squeeze=False)[:, 0], lines, strict=True):
        values = [run.metrics.get(line.name, float("nan")) for run in comparison.runs]
        colors = ["C0" if at in line.best else "0.7" for at in range(len(names))]
        axes.barh(names, values, color=colors)
        axes.set_title(line.name, loc="left", fontsize="small")
        axes.invert_yaxis()
    figure.savefig(path)
    note(f"Drew {len(lines)} metrics of {len(names)} runs to {path}")
