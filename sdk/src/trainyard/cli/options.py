"""Options that commands share."""

from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import (
    complete_context,
    complete_model,
    complete_namespace,
    complete_run,
)

if TYPE_CHECKING:
    from trainyard.client import Client


_to_close = ExitStack()


class Form(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def client_for(namespace: str, context: str, *, patience: float | None = None) -> "Client":
    """Make the client that -n and --context ask for; *patience* as `Client` takes it."""
    from trainyard.client import Client  # noqa: PLC0415  # not for --help

    client = Client(namespace=namespace or None, context=context or None, patience=patience)
    _to_close.callback(client.close)
    return client


def close_clients() -> None:
    """Close the connections of all clients that were made for the command."""
    _to_close.close()


_CLUSTER = "Cluster"

Namespace = Annotated[
    str,
    typer.Option(
        "-n",
        "--namespace",
        help="Namespace; default: the kubeconfig context's.",
        autocompletion=complete_namespace,
        rich_help_panel=_CLUSTER,
        show_default=False,
    ),
]
Context = Annotated[
    str,
    typer.Option(
        help="Context of the kubeconfig; default: the current one.",
        rich_help_panel=_CLUSTER,
        autocompletion=complete_context,
        show_default=False,
    ),
]
Output = Annotated[Form, typer.Option("-o", "--output", help="How to print.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--param",
        metavar="NAME=VALUE",
        help="Parameter; repeat it for more. Numbers and true/false get their type.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the Run.", autocompletion=complete_run)
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of the Model.", autocompletion=complete_model)
]
