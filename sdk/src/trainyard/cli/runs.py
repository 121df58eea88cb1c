"""`trainyard logs, rerun, cancel`: what one does with Runs that exist."""

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import Context, Namespace, Parameters, RunName, client_for
from trainyard.cli.run import follow_to_end
from trainyard.cli.terminal import LiveLog, note

if TYPE_CHECKING:
    from trainyard_api.run import Run

    from trainyard.client import Client


def logs(
    name: RunName,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on to the end.")] = False,
    attempt: Annotated[
        int, typer.Option(help="Which attempt; default: the last one.", min=0, show_default=False)
    ] = 0,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Print the log of a Run as it is recorded, also when its pod is gone.

    With -f the exit code is the Run's; Ctrl-C detaches.

    \b
    Examples:
      trainyard logs digits-deep
      trainyard logs -f digits-deep
      trainyard logs digits-deep --attempt 1
    """
    from trainyard_api.run import Run  # noqa: PLC0415

    from trainyard.following import describe, exit_code  # noqa: PLC0415  # not for --help
    from trainyard.settling import judge  # noqa: PLC0415

    client = client_for(namespace, context)
    run = client.get(Run, name)
    if follow and not attempt and not judge(run).settled:
        raise typer.Exit(follow_to_end(client, run))
    if run.status.attempts:
        _print_attempt(client, run, attempt)
    else:
        yet = "" if judge(run).settled else " yet"
        note(f"{name} has printed nothing{yet}: {describe(run)}")
    if follow:
        raise typer.Exit(exit_code(run))


def _print_attempt(client: "Client", run: "Run", attempt: int) -> None:
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help
    from trainyard.following import AttemptLog  # noqa: PLC0415

    numbers = [each.number for each in run.status.attempts]
    if attempt > numbers[-1]:
        raise InvalidInput(
            f"Run {run.metadata.name} has no attempt {attempt}",
            fix=f"It has {', '.join(map(str, numbers))}",
        )
    sink = LiveLog()
    AttemptLog(client, run, attempt or numbers[-1], sink).print_now()
    sink.end_line()


def rerun(
    name: RunName,
    *,
    params: Parameters = None,
    new_name: Annotated[
        str, typer.Option("--name", help="Name of the new Run; default: a fresh one.")
    ] = "",
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Print the name and do not follow.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Run the same again, code and all, with some parameters changed.

    \b
    Example:
      trainyard rerun digits-deep -p n_estimators=500
    """
    from trainyard_api.run import Run  # noqa: PLC0415

    from trainyard.parameters import parse_parameters  # noqa: PLC0415  # not for --help
    from trainyard.submission import changed, create  # noqa: PLC0415

    client = client_for(namespace, context)
    old = client.get(Run, name)
    created = create(client, changed(old, parse_parameters(params or []), name=new_name))
    note(f"Created Run {created.metadata.name}, like {name}")
    if detach:
        print(created.metadata.name)
        return
    raise typer.Exit(follow_to_end(client, created))


def cancel(
    names: Annotated[list[str], typer.Argument(metavar="RUN", help="Names of the Runs.")],
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Stop Runs for good. What they logged stays.

    \b
    Example:
      trainyard cancel digits-deep
    """
    from trainyard_api.run import Run  # noqa: PLC0415

    from trainyard.settling import judge  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    for name in names:
        run = client.get(Run, name)
        if judge(run).settled:
            print(f"run/{name} had finished already: {run.status.phase}")
            continue
        client.patch(
            Run,
            name,
            [{"op": "add", "path": "/spec/cancel", "value": True}],
            what=f"cancel Run {name}",
        )
        print(f"run/{name} cancelled")
