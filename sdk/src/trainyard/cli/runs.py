"""`trainyard logs, rerun, cancel`: what one does with Runs that exist."""

from typing import Annotated

import typer

from trainyard.cli.completion import complete_run
from trainyard.cli.options import Context, Namespace, Parameters, RunName, client_for
from trainyard.cli.run import follow_to_end
from trainyard.cli.terminal import LiveLog, for_each, note


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
    from trainyard.running import print_attempt  # noqa: PLC0415
    from trainyard.settling import judge  # noqa: PLC0415

    client = client_for(namespace, context)
    run = client.get(Run, name)
    over = judge(run).settled
    if follow and not over and attempt in {0, *(each.number for each in run.status.attempts[-1:])}:
        raise typer.Exit(follow_to_end(client, run))
    sink = LiveLog()
    print_attempt(client, run, sink, attempt=attempt)
    sink.end_line()
    if not sink.has_printed:
        which = f"Attempt {attempt} of {name}" if attempt else name
        note(f"{which} has printed nothing{'' if over else ' yet'}: {describe(run)}")
    if follow and over:
        raise typer.Exit(exit_code(run))
    if follow:
        note(f"Attempt {attempt} is over, and {name} goes on: {describe(run)}")


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
    Examples:
      trainyard rerun digits-deep -p n_estimators=500
      trainyard rerun digits-deep --name digits-deeper -p max_depth=20 -d
    """
    from trainyard import running  # noqa: PLC0415  # not for --help
    from trainyard.parameters import parse_parameters  # noqa: PLC0415

    client = client_for(namespace, context)
    changed = parse_parameters(params or [])
    created = running.rerun(name, parameters=changed, name=new_name, client=client)
    note(f"Created Run {created.metadata.name}, like {name}")
    if detach:
        print(created.metadata.name)
        return
    raise typer.Exit(follow_to_end(client, created))


def cancel(
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Names of the Runs.", autocompletion=complete_run),
    ],
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Stop Runs for good. What they logged stays.

    One that cannot be stopped does not keep the others: exit code 1 at the end.

    \b
    Examples:
      trainyard cancel digits-deep
      trainyard get runs -l sweep=3 -o name | xargs trainyard cancel
    """
    from trainyard import running  # noqa: PLC0415  # not for --help
    from trainyard.settling import judge  # noqa: PLC0415

    client = client_for(namespace, context)

    def cancel_one(name: str) -> None:
        run = running.cancel(name, client=client)
        if judge(run).settled:
            print(f"run/{name} had finished already: {run.status.phase}")
        else:
            print(f"run/{name} cancelled")

    if not for_each(names, cancel_one):
        raise typer.Exit(1)
