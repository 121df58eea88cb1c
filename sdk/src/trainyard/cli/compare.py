"""`trainyard compare`: parameters and metrics of runs, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.completion import complete_experiment, complete_run
from trainyard.cli.options import Context, Form, Namespace, Output, client_for
from trainyard.cli.terminal import note, show_data, show_table

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs, by name, by NAMESPACE/NAME or by MLflow run id.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
Experiment = Annotated[
    str,
    typer.Option(
        "-e",
        "--experiment",
        help="All runs of this MLflow experiment.",
        autocompletion=complete_experiment,
    ),
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
      trainyard compare vision/digits nightly/digits
      trainyard compare -e digits --last 20 -o json
    """
    from trainyard.results import compare as read  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    found = read(*(names or ()), experiment=experiment, last=last, client=client)
    if not found.runs:
        note(f"Experiment {experiment} has no runs yet")
        return
    if plot is not None:
        found.plot(plot)
        note(f"Drew {len(found.metrics)} metrics of {len(found.runs)} runs to {plot}")
    if output is Form.NAME:
        print(*found.labels, sep="\n")
    elif output is Form.TABLE:
        table = found.table()
        show_table(table.titles, table.rows)
        note(table.remark, style="dim")
    else:
        show_data(found.as_object(), output)
