"""Options that commands share, and what Tab offers for them."""

from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trainyard.client import Client


_to_close = ExitStack()


class Form(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def client_for(namespace: str, context: str) -> "Client":
    """Make the client that -n and --context ask for."""
    from trainyard.client import Client  # noqa: PLC0415  # not for --help

    client = Client(namespace=namespace or None, context=context or None)
    _to_close.callback(client.close)
    return client


def close_clients() -> None:
    """Close the connections of all clients that were made for the command."""
    _to_close.close()


def _names(ctx: Any, kind: str) -> list[str]:
    """List the names of a kind for Tab; nothing at all where the cluster does not answer."""
    from trainyard.errors import TrainyardError  # noqa: PLC0415  # only for Tab
    from trainyard.kinds import kind_called  # noqa: PLC0415

    options = getattr(ctx, "params", {}) or {}
    try:
        client = client_for(options.get("namespace") or "", options.get("context") or "")
        found = client.list_objects(kind_called(kind), namespace=client.namespace)
    except TrainyardError:
        return []
    return [item["metadata"]["name"] for item in found]


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Runs of the namespace."""
    return [name for name in _names(ctx, "runs") if name.startswith(incomplete)]


def complete_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Models of the namespace."""
    return [name for name in _names(ctx, "models") if name.startswith(incomplete)]


def complete_deployment(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Deployments of the namespace."""
    return [name for name in _names(ctx, "mdep") if name.startswith(incomplete)]


def complete_kind(incomplete: str) -> list[str]:
    """Offer the kinds."""
    kinds = ("runs", "experiments", "models", "modelversions", "modeldeployments")
    return [kind for kind in kinds if kind.startswith(incomplete)]


def complete_resource(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the kind that was typed before."""
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # only for Tab

    try:
        names = _names(ctx, ctx.params.get("kind") or "runs")
    except InvalidInput:
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_context(incomplete: str) -> list[str]:
    """Offer the contexts of the kubeconfig."""
    from trainyard._kube import contexts  # noqa: PLC0415  # only for Tab

    return [name for name in contexts() if name.startswith(incomplete)]


_CLUSTER = "Cluster"

Namespace = Annotated[
    str,
    typer.Option(
        "-n",
        "--namespace",
        help="Namespace; default: the kubeconfig context's.",
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
