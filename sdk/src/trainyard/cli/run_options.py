"""The options of `trainyard run`, in the order of its help."""

from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.completion import complete_experiment, complete_registered

_WHERE = "Where it runs"
_AFTER = "What happens then"

Folder = Annotated[Path, typer.Argument(help="Folder with the program.", show_default=False)]
Command = Annotated[
    list[str] | None,
    typer.Argument(
        help="What to run, after two dashes; default: python train.py (or main.py).",
        show_default=False,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Take along what .gitignore names, such as data/ or '*.pkl'; repeat it for more.",
    ),
]
Environment = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Environment variable.")
]
Timeout = Annotated[str, typer.Option(help="Longest time of an attempt, such as 1h30m.")]
Retry = Annotated[int, typer.Option(help="More attempts if the program fails.", min=0)]
Experiment = Annotated[
    str,
    typer.Option(
        "-e", "--experiment", help="MLflow experiment.", autocompletion=complete_experiment
    ),
]
FreshName = Annotated[str, typer.Option(help="Name of the Run; default: a fresh one.")]

Local = Annotated[
    bool,
    typer.Option("--local", help="Run it here, without a cluster.", rich_help_panel=_WHERE),
]
Runtime = Annotated[
    str, typer.Option(help="Administrator's preset; default: sklearn.", rich_help_panel=_WHERE)
]
Image = Annotated[
    str, typer.Option(help="Container image instead of a runtime.", rich_help_panel=_WHERE)
]
Cpu = Annotated[str, typer.Option(help="CPUs, such as 2 or 500m.", rich_help_panel=_WHERE)]
Memory = Annotated[str, typer.Option(help="Memory, such as 4Gi.", rich_help_panel=_WHERE)]
Gpu = Annotated[int, typer.Option(help="NVIDIA GPUs.", min=0, rich_help_panel=_WHERE)]

Register = Annotated[
    str,
    typer.Option(
        metavar="MODEL[:ARTIFACT]",
        help="Register the result; ARTIFACT names it where several are logged.",
        rich_help_panel=_AFTER,
        autocompletion=complete_registered,
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "-d", "--detach", help="Print the name and do not follow.", rich_help_panel=_AFTER
    ),
]
