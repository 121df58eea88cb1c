"""`trainyard promote, rollback, demote`: move a stage, and say what the cluster thinks of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import complete_stage, complete_version
from trainyard.cli.options import Context, ModelName, Namespace, client_for
from trainyard.cli.stopping import telling
from trainyard.cli.terminal import note

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trainyard.client import Client
    from trainyard.promotion import Outcome

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

    A version that is still being published is waited for. Refused: the reason is
    printed and the exit code is 1. Deployments that follow the stage roll to the
    new version by themselves.

    \b
    Examples:
      trainyard promote digits 2 --to production
      trainyard promote digits 3 --to champion
      trainyard promote digits 3 --to production --force
    """
    from trainyard import promotion  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    with _stopped(client, model, stage):
        answer = promotion.promote(
            model,
            version,
            stage=stage,
            force=force,
            timeout=timeout,
            waits=lambda why: note(f"Waiting for version {version} of {model}: {why}"),
            client=client,
        )
    _say(client, model, stage, answer)


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
    from trainyard import promotion  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    with _stopped(client, model, stage):
        answer = promotion.rollback(model, stage=stage, timeout=timeout, client=client)
    _say(client, model, stage, answer)


def demote(
    model: ModelName,
    stage: Annotated[
        str,
        typer.Option(
            "--from", metavar="STAGE", help="Stage or alias.", autocompletion=complete_stage
        ),
    ],
    timeout: Timeout = 60,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Take the version that a stage or alias holds off it, so that it holds nothing.

    Also takes back the wish for a version that a gate refused. Deployments that follow the
    stage go on serving what they serve.

    \b
    Examples:
      trainyard demote digits --from production
      trainyard demote digits --from champion
    """
    from trainyard import promotion  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    with _stopped(client, model, stage):
        answer = promotion.demote(model, stage=stage, timeout=timeout, client=client)
    if answer.held:
        note(f"{stage} of {model} is set to nothing, and holds version {answer.held} by itself")
        return
    print(f"{stage} of {model} holds nothing")
    for follower in answer.followers:
        note(f"Deployment {follower} follows it and goes on serving what it serves")


def _stopped(client: "Client", model: str, stage: str) -> "AbstractContextManager[None]":
    return telling(
        f"Stopped: what was asked for {stage} of {model} may be stored, and is judged without you.",
        f"  look at it     trainyard describe model {model}{client.command_options()}",
    )


def _say(client: "Client", model: str, stage: str, answer: "Outcome") -> None:
    where = client.command_options()
    print(f"{stage} of {model} holds version {answer.held}")
    for follower in answer.followers:
        note(f"Deployment {follower} follows: trainyard get deployment {follower}{where}")
    if not answer.followers:
        note(f"No Deployment follows it. To serve it: trainyard serve {model}@{stage}{where}")
