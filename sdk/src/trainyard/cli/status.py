"""`trainyard status` and `trainyard doctor`: how things are, on one screen."""

from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.terminal import can_draw, console, note, show_table

if TYPE_CHECKING:
    from trainyard_api.run import Run

    from trainyard.client import Client

_FINISHED_SHOWN = 5
_ACTIVE_SHOWN = 15


def status(namespace: Namespace = "", context: Context = "") -> None:
    """Show what runs, what the stages hold and what serves, on one screen.

    \b
    Example:
      trainyard status -n vision
    """
    client = client_for(namespace, context)
    _heading(f"Runs in {client.namespace}")
    has_runs = _runs(client)
    _heading("Models")
    has_models = _models(client)
    _heading("Deployments")
    has_deployments = _deployments(client)
    if not (has_runs or has_models or has_deployments):
        _require_namespace(client)


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
    out = console()
    try:
        client = client_for(namespace, context, patience=0)
    except TrainyardError as exc:
        out.print(bad, style="bold red", end=" ")
        out.print(f"kubeconfig: {exc.message}\n    → {exc.fix}", markup=False)
        raise typer.Exit(1) from exc
    broken = 0
    for finding in diagnose(client):
        sign, style = signs[finding.ok]
        broken += finding.ok is False
        out.print(sign, style=style, end=" ")
        out.print(f"{finding.name}: {finding.detail}", markup=False)
        if finding.fix:
            out.print(f"    → {finding.fix}", markup=False)
    if broken:
        raise typer.Exit(1)


def _heading(text: str) -> None:
    console().print(f"\n{text}" if text[:4] != "Runs" else text, style="bold", markup=False)


def _require_namespace(client: "Client") -> None:
    """Raise NotFound where nothing is because the namespace does not exist."""
    from trainyard.errors import Forbidden  # noqa: PLC0415  # not for --help

    with suppress(Forbidden):  # who may not see namespaces is in the right one, we hope
        client.kube.request(
            "GET",
            f"/api/v1/namespaces/{client.namespace}",
            what=f"look into namespace {client.namespace}",
        )


def _runs(client: "Client") -> bool:
    from trainyard_api.moment import rfc3339  # noqa: PLC0415
    from trainyard_api.run import Run  # noqa: PLC0415

    from trainyard.columns import age, utc_now  # noqa: PLC0415  # not for --help
    from trainyard.following import describe  # noqa: PLC0415
    from trainyard.settling import judge  # noqa: PLC0415

    now = utc_now()
    newest = sorted(
        client.list(Run), key=lambda run: str(run.metadata.creation_timestamp), reverse=True
    )
    active = [run for run in newest if not judge(run).settled]
    finished = [run for run in newest if judge(run).settled]

    def row(run: "Run") -> list[str]:
        verdict = judge(run)
        said = run.status.metric or ""
        if not verdict.good:
            said = f"{verdict.reason}: {verdict.message}" if verdict.settled else describe(run)
        created = run.metadata.creation_timestamp
        when = age(rfc3339(created), now) if created else "-"
        return [run.metadata.name, str(run.status.phase or "Pending"), when, said[:100]]

    rows = [row(run) for run in (*active[:_ACTIVE_SHOWN], *finished[:_FINISHED_SHOWN])]
    if not rows:
        note("  none yet: trainyard run FOLDER")
        return False
    show_table(("NAME", "PHASE", "AGE", "METRIC OR REASON"), rows)
    hidden = len(newest) - len(rows)
    if hidden:
        note(f"  and {hidden} more: trainyard get runs", style="dim")
    return True


def _models(client: "Client") -> bool:
    from trainyard_api.model import Model  # noqa: PLC0415  # not for --help

    rows = []
    for model in client.list(Model):
        stages = {stage.name: stage for stage in model.status.stages}
        for name in [*stages, *(a for a in model.status.aliases if a not in stages)]:
            stage = stages.get(name)
            version = stage.version if stage else model.status.aliases[name]
            refusal = stage.refusal if stage else None
            said = f"refused {refusal.version}: {refusal.message}" if refusal else ""
            rows.append([model.metadata.name, name, str(version or "-"), said[:100]])
        if not stages and not model.status.aliases:
            rows.append([model.metadata.name, "-", str(model.status.latest_version or "-"), ""])
    if not rows:
        note("  none yet: trainyard run FOLDER --register MODEL")
        return False
    show_table(("MODEL", "STAGE", "VERSION", "REFUSED"), rows)
    return True


def _deployments(client: "Client") -> bool:
    from trainyard_api.deployment import Deployment  # noqa: PLC0415  # not for --help

    from trainyard.settling import judge  # noqa: PLC0415

    rows = []
    for each in client.list(Deployment):
        wanted = each.spec.model
        verdict = judge(each)
        trouble = f"{verdict.reason}: {verdict.message}"[:100]
        rows.append(
            [
                each.metadata.name,
                f"{wanted.name} {wanted.alias or wanted.version}",
                str(each.status.stable.version) if each.status.stable else "-",
                f"{each.status.ready_replicas}/{each.spec.replicas}",
                str(each.status.phase or "Pending"),
                (each.status.endpoint or "") if verdict.good else trouble,
            ]
        )
    if not rows:
        note("  none yet")
        return False
    show_table(("NAME", "SERVES", "VERSION", "READY", "PHASE", "ENDPOINT OR REASON"), rows)
    return True
