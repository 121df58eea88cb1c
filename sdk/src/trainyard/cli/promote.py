"""`trainyard promote, rollback`: move a stage, and say what the cluster thinks of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import complete_stage, complete_version
from trainyard.cli.options import Context, ModelName, Namespace, client_for
from trainyard.cli.terminal import note

if TYPE_CHECKING:
    from trainyard.client import Client

Timeout = Annotated[float, typer.Option(help="Seconds to wait for the verdict.", min=1)]


def promote(
    model: ModelName,
    version: Annotated[
        int,
        typer.Argument(
            metavar="VERSION", help="Its number.", min=1, autocompletion=complete_version
        ),
    ],
    *,
    stage: Annotated[
        str,
        typer.Option(
            "--to", metavar="STAGE", help="Stage or alias.", autocompletion=complete_stage
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Whatever its metrics; the history will say so.")
    ] = False,
    timeout: Timeout = 60,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Promote a version to a stage, through its gates, and say what holds now.

    Refused: the reason is printed and the exit code is 1. Deployments that
    follow the stage roll to the new version by themselves.

    \b
    Example:
      trainyard promote digits 2 --to production
    """
    client = client_for(namespace, context)
    _move(client, model, version, stage, force=force, timeout=timeout)


def rollback(
    model: ModelName,
    stage: Annotated[
        str, typer.Option("--stage", "-s", help="Which stage.", autocompletion=complete_stage)
    ],
    timeout: Timeout = 60,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Give a stage back to the version that held it before; no gate stands in the way.

    \b
    Example:
      trainyard rollback digits --stage production
    """
    from trainyard_api.model import Model  # noqa: PLC0415

    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.promotion import check_stage, stage_status  # noqa: PLC0415

    client = client_for(namespace, context)
    found = client.get(Model, model)
    check_stage(found, stage)
    status = stage_status(found, stage)
    if status is None or status.previous is None:
        raise InvalidInput(
            f"No version held {stage} of {model} before",
            fix=f"Choose one: `trainyard versions {model}`, then `trainyard promote`",
        )
    _move(client, model, status.previous, stage, force=False, timeout=timeout)


def _move(
    client: "Client", model: str, version: int, stage: str, *, force: bool, timeout: float
) -> None:
    from trainyard.errors import Rejected  # noqa: PLC0415  # not for --help
    from trainyard.promotion import move_alias  # noqa: PLC0415

    answer = move_alias(client, model, version, stage=stage, force=force, timeout=timeout)
    if answer.refused:
        holds = f"version {answer.held}" if answer.held else "nothing"
        back = f"trainyard promote {model} {answer.held} --to {stage}" if answer.held else ""
        raise Rejected(
            f"{stage} of {model} refuses version {version}: {answer.refused.rstrip('.')}",
            fix=f"{stage} goes on holding {holds}."
            + (f" To take the wish back: {back}" if back else ""),
        )
    print(f"{stage} of {model} holds version {version}")
    for follower in answer.followers:
        note(f"Deployment {follower} follows: trainyard get deployment {follower}")
    if not answer.followers:
        note(f"No Deployment follows it. To serve it: trainyard serve {model}@{stage}")
