"""`trainyard serve`: a Deployment from one word, and whether it came up."""

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import complete_deployment, complete_served
from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.stopping import telling
from trainyard.cli.terminal import note

if TYPE_CHECKING:
    from trainyard_api.deployment import Deployment

    from trainyard.client import Client


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL@STAGE|MODEL/VERSION",
            help="What to serve, as in MLflow's models:/ URIs.",
            autocompletion=complete_served,
        ),
    ],
    *,
    name: Annotated[
        str,
        typer.Option(
            help="Name of the Deployment; default: the Model's.",
            autocompletion=complete_deployment,
            show_default=False,
        ),
    ] = "",
    replicas: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="How many pods; default: 1, or as it is."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it serves.", min=1)] = 300,
    detach: Annotated[bool, typer.Option("-d", "--detach", help="Do not wait.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Serve a model: make a Deployment, or point the one there is to it, without a failed request.

    By stage, the Deployment follows: when another version is promoted, it rolls.

    \b
    Examples:
      trainyard serve digits@production
      trainyard serve digits/3 --name digits-canary --replicas 2
    """
    from trainyard import serving  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    with telling(
        "Stopped while the Deployment was written: it may be there.",
        f"  look for it  trainyard get deployments{client.command_options()}",
    ):
        made = serving.serve(model, name=name, replicas=replicas, wait=False, client=client)
    changed = "Changed" if made.metadata.generation > 1 else "Created"
    note(f"{changed} Deployment {made.metadata.name} in namespace {made.metadata.namespace}")
    if detach:
        print(made.metadata.name)
        return
    _until_it_serves(client, made, timeout=timeout)


def _until_it_serves(client: "Client", made: "Deployment", *, timeout: float) -> None:
    from trainyard import serving  # noqa: PLC0415  # not for --help

    called, where = made.metadata.name, client.command_options()
    with telling(
        f"Detached: Deployment {called} goes on.",
        f"  look at it   trainyard describe deployment {called}{where}",
        f"  remove it    trainyard delete deployment {called}{where}",
    ):
        done = serving.until_it_serves(client, made, timeout=timeout, seen=_Teller())
    version = done.status.stable.version if done.status.stable else "?"
    print(f"{called} serves version {version} of {done.spec.model.name}: {done.status.endpoint}")
    note(f"Ask it: trainyard predict {called} --data '[[...]]'{where}")


class _Teller:
    """Tells each new state on the way once."""

    def __init__(self) -> None:
        self._said = {""}

    def __call__(self, seen: "Deployment") -> None:
        from trainyard.settling import judge  # noqa: PLC0415  # not for --help

        verdict = judge(seen)
        if not verdict.settled and verdict.message not in self._said:
            note(f"  {verdict.message}", style="dim")
            self._said.add(verdict.message)
