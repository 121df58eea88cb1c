"""The command `trainyard`: thin over the SDK; every command is a function in a module here.

Modules are imported at start, so they import nothing heavy at their top: the
Kubernetes client takes half a second, and `trainyard --help` must not.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trainyard.cli import (
    compare,
    predict,
    promote,
    proxy,
    register,
    resources,
    run,
    runs,
    serve,
    status,
)
from trainyard.cli.options import close_clients
from trainyard.cli.stopping import orderly
from trainyard.cli.terminal import show_error, width
from trainyard.errors import TrainyardError

_HELP_COLUMNS = 72


class _Commands(TyperGroup):
    """Turns the SDK's errors into a message with a remedy and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with orderly():
                return super().invoke(ctx)
        except TrainyardError as exc:
            show_error(exc)
            raise typer.Exit(1) from exc
        finally:
            close_clients()


app = typer.Typer(
    name="trainyard",
    cls=_Commands,
    no_args_is_help=True,
    # Its columns, where they are narrow, cut the names of options short.
    rich_markup_mode="rich" if width() >= _HELP_COLUMNS else None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start here: trainyard run --local FOLDER, then without --local. "
    "Tab completion: trainyard --install-completion",
)


def _print_version(wanted: bool) -> None:  # typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # only here

        print(version("trainyard"))
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Train, track, gate, promote and serve models as Kubernetes resources."""


_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run": (run.run, runs.logs, runs.rerun, runs.cancel, compare.compare),
    "Models": (
        resources.models,
        resources.versions,
        register.register,
        promote.promote,
        promote.rollback,
        promote.demote,
        serve.serve,
        predict.predict,
    ),
    "Look": (status.status, resources.get, resources.describe, resources.delete),
    "Connect": (proxy.ui, proxy.proxy, status.doctor),
}
for _panel, _functions in _PANELS.items():
    for _function in _functions:
        app.command(rich_help_panel=_panel)(_function)
app.command("list", hidden=True)(resources.get)
