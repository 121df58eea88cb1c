"""`trainyard status` and `trainyard doctor`: how things are, on one screen."""

import typer

from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.terminal import can_draw, console, note, show_table

_HINTS = (
    "trainyard run FOLDER",
    "trainyard run FOLDER --register MODEL",
    "trainyard serve MODEL@STAGE",
)


def status(namespace: Namespace = "", context: Context = "") -> None:
    """Show what runs, what the stages hold and what serves, on one screen.

    \b
    Example:
      trainyard status -n vision
    """
    from trainyard.looking import status as look  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    found, where = look(client=client), client.command_options()
    for (title, table), hint in zip(found.parts(), _HINTS, strict=True):
        _heading(title)
        if table.rows:
            show_table(table.titles, table.rows)
        else:
            note(f"  none yet: {hint}{where}")
        if table is found.runs and found.unshown_runs:
            note(f"  and {found.unshown_runs} more: trainyard get runs{where}", style="dim")


def doctor(namespace: Namespace = "", context: Context = "") -> None:
    """Check the way to the cluster, the installation and your rights, with remedies.

    The exit code is 1 if something is broken.

    \b
    Example:
      trainyard doctor
    """
    from trainyard.diagnosis import diagnose  # noqa: PLC0415  # not for --help
    from trainyard.errors import TrainyardError  # noqa: PLC0415

    good, bad, unknown = ("✓", "✗", "·") if can_draw() else ("ok", "NO", "-")
    signs = {True: (good, "green"), False: (bad, "bold red"), None: (unknown, "yellow")}
    out, to = console(soft_wrap=True), "→" if can_draw() else "->"
    try:
        client = client_for(namespace, context, patience=0)
    except TrainyardError as exc:
        out.print(bad, style="bold red", end=" ")
        out.print(f"kubeconfig: {exc.message}\n    {to} {exc.fix}", markup=False)
        raise typer.Exit(1) from exc
    broken = 0
    for finding in diagnose(client):
        sign, style = signs[finding.ok]
        broken += finding.ok is False
        out.print(sign, style=style, end=" ")
        out.print(f"{finding.name}: {finding.detail}", markup=False)
        if finding.fix:
            out.print(f"    {to} {finding.fix}", markup=False)
    if broken:
        raise typer.Exit(1)


def _heading(text: str) -> None:
    console().print(f"\n{text}" if text[:4] != "Runs" else text, style="bold", markup=False)
