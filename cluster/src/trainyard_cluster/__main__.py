"""`python -m trainyard_cluster`: a local cluster from nothing, and Trainyard on it."""

import sys
import time
from typing import Annotated

import typer
from rich.markup import escape

from trainyard_cluster import paths, tools
from trainyard_cluster.shell import StepError, console, lock

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def up(
    raise_limits: Annotated[
        bool, typer.Option(help="Raise the controllers' request limits, for scale tests")
    ] = False,
) -> None:
    """Make the cluster; 20 minutes from nothing, half a minute with caches."""
    from trainyard_cluster import kind  # noqa: PLC0415  # the other commands don't need it

    start = time.monotonic()
    console.print("[bold]==> Local cluster[/bold]")
    with lock():
        kind.up(raise_limits=raise_limits)
    console.print(
        f"Ready in {time.monotonic() - start:.0f} s: export KUBECONFIG={paths.kubeconfig()}"
    )


@app.command()
def images(names: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Build the images that changed, and load them into the cluster."""
    from trainyard_cluster import images as building  # noqa: PLC0415

    console.print("[bold]==> Images[/bold]")
    with lock():
        building.build_and_load(names or building.usual())


@app.command()
def install() -> None:
    """Install the chart on the cluster, or upgrade it."""
    from trainyard_cluster import quickstart as driver  # noqa: PLC0415

    driver.install()


@app.command()
def quickstart() -> None:
    """Install the chart; train, gate, promote, serve and ask the first example's model."""
    from trainyard_cluster import quickstart as driver  # noqa: PLC0415

    driver.quickstart()


@app.command()
def down(
    everything: Annotated[
        bool, typer.Option("--all", help="Remove images and caches, too: the next start is cold")
    ] = False,
) -> None:
    """Delete the cluster and its kubeconfig; caches and images stay."""
    from trainyard_cluster import images, kind  # noqa: PLC0415

    with lock():
        kind.down()
        if everything:
            images.remove()
    if everything:
        paths.remove_cache()


@app.command()
def kubeconfig() -> None:
    """Print the path of the cluster's kubeconfig."""
    print(paths.kubeconfig())  # noqa: T201  # for $(…)


@app.command()
def tool(name: str) -> None:
    """Print the path of a tool, built if missing: kubectl, helm, kind, kwok, assets."""
    known = {
        "assets": tools.assets,
        "helm": tools.helm,
        "kind": tools.kind,
        "kubectl": tools.kubectl,
        "kwok": tools.kwok,
    }
    if name not in known:
        raise typer.BadParameter(f"no tool {name}: one of {', '.join(known)}")
    print(known[name]())  # noqa: T201  # for $(…)


def main() -> None:
    """Run the command; a failed step ends it with what to do, not with a traceback."""
    try:
        app()
    except StepError as error:
        console.print(f"[red]failed[/red] {escape(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()
