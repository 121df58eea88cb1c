"""`trainyard run`: from a folder to a finished Run, in the cluster or right here."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trainyard.cli import run_options
from trainyard.cli.options import Context, Namespace, Parameters, client_for
from trainyard.cli.stopping import telling
from trainyard.cli.terminal import LiveLog, note, progress

if TYPE_CHECKING:
    from trainyard_api.run import Run

    from trainyard.client import Client
    from trainyard.submission import RunOptions


def run(
    folder: run_options.Folder,
    command: run_options.Command = None,
    *,
    params: Parameters = None,
    local: run_options.Local = False,
    runtime: run_options.Runtime = "",
    image: run_options.Image = "",
    cpu: run_options.Cpu = "",
    memory: run_options.Memory = "",
    gpu: run_options.Gpu = 0,
    env: run_options.Environment = None,
    timeout: run_options.Timeout = "",
    retry: run_options.Retry = 0,
    experiment: run_options.Experiment = "",
    register: run_options.Register = "",
    name: run_options.FreshName = "",
    include: run_options.Include = None,
    detach: run_options.Detach = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Run a folder: pack it, upload it, run it in the cluster, follow its log.

    What .gitignore names stays behind, but for --include. Exits as the program; Ctrl-C detaches.

    \b
    Examples:
      trainyard run --local examples/01-first-model
      trainyard run examples/01-first-model -p max_depth=12 -p n_estimators=200
      trainyard run . -e digits --register digits --memory 2Gi --include data/
      trainyard run . -d -- python -m package.train --fast
    """
    from trainyard.parameters import parse_pairs, parse_parameters  # noqa: PLC0415  # not for --help
    from trainyard.program import command_for  # noqa: PLC0415

    program = command_for(folder, command or [])
    parameters = parse_parameters(params or [])
    pairs = parse_pairs(env or [], option="--env")
    if local:
        _say_unused(register=register, image=image, runtime=runtime, include=include, name=name)
        _say_unused(timeout=timeout, retry=retry, cpu=cpu, memory=memory, gpu=gpu, detach=detach)
        raise typer.Exit(_run_here(folder, program, parameters, experiment=experiment, env=pairs))
    from trainyard.submission import RunOptions  # noqa: PLC0415  # not for --local

    what = RunOptions(command=program, parameters=parameters, env=pairs, name=name)
    where = replace(what, runtime=runtime, image=image, cpu=cpu, memory=memory, gpu=gpu)
    chosen = replace(where, experiment=experiment, timeout=timeout, retry=retry, register=register)
    client = client_for(namespace, context)
    raise typer.Exit(_run_there(client, folder, chosen, include=include, detach=detach))


def _say_unused(**given: object) -> None:
    for option in (option for option, value in given.items() if value):
        note(f"--{option} needs a cluster and does nothing with --local", style="yellow")


def _run_here(
    folder: Path,
    program: list[str],
    parameters: dict[str, str | int | float | bool],
    *,
    experiment: str,
    env: dict[str, str],
) -> int:
    from trainyard.local import execute, prepare  # noqa: PLC0415  # not for the cluster

    prepared = prepare(folder, program, parameters, experiment=experiment, env=env)
    note(f"Running {shlex.join(prepared.command)} in {folder}", style="dim")
    began = time.monotonic()
    code = execute(prepared)
    took = f"{time.monotonic() - began:.1f} s"
    if code < 0:
        note(f"Ended by {_signal(-code)} after {took}", style="red")
        return 128 - code
    if code:
        note(f"Failed with exit code {code} after {took}", style="red")
        return code if code < 256 else 1
    note(f"Succeeded in {took}", style="green")
    if "MLFLOW_TRACKING_URI" not in os.environ:
        uri = shlex.quote(_relative(prepared.tracking_uri))
        note(f"See the results: mlflow ui --backend-store-uri {uri}")
    return 0


def _signal(number: int) -> str:
    known = {each.value: each.name for each in signal.Signals}
    return known.get(number, f"signal {number}")


def _relative(uri: str) -> str:
    here = Path.cwd().as_posix()
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{path.removeprefix(here + '/')}"


def _run_there(
    client: "Client",
    folder: Path,
    options: "RunOptions",
    *,
    include: Sequence[str] | None,
    detach: bool,
) -> int:
    created, left = _submit(client, folder, options, include or [])
    if detach:
        print(created.metadata.name)
        return 0
    return follow_to_end(client, created, left)


def _submit(
    client: "Client", folder: Path, options: "RunOptions", include: Sequence[str]
) -> "tuple[Run, Sequence[str]]":
    """Create the Run of a folder; returns it and what .gitignore left behind."""
    from trainyard._progress import human_size  # noqa: PLC0415  # not for --help
    from trainyard.packing import pack, remarks  # noqa: PLC0415
    from trainyard.submission import (  # noqa: PLC0415
        archive_run,
        create,
        name_prefix,
        rehearse,
        upload,
    )

    with telling("Stopped: no Run was created."):
        rehearse(client, options, folder)
        archive = pack(folder, include=include, showing=progress)
        for remark in remarks(archive):
            note(remark, style="yellow" if archive.skipped or archive.is_large else "dim")
        with archive.content, progress("Uploading", archive.size) as sent:
            fresh = upload(client, archive, sent=sent)
    size = human_size(archive.size)
    note(f"{'Uploaded' if fresh else 'Already there:'} {archive.files} files, {size}", style="dim")
    made = archive_run(options, archive.digest, prefix=name_prefix(folder))
    with telling(
        "Stopped while the Run was created: it may be there.",
        f"  look for it    trainyard get runs{client.command_options()}",
    ):
        created = create(client, made)
    note(f"Created Run {created.metadata.name} in namespace {created.metadata.namespace}")
    return created, archive.ignored


def follow_to_end(client: "Client", run: "Run", left: Sequence[str] = ()) -> int:
    """Follow *run*, sum it up, and return its exit code; Ctrl-C detaches."""
    from trainyard import running  # noqa: PLC0415  # not for --help
    from trainyard.errors import Unreachable  # noqa: PLC0415
    from trainyard.following import exit_code  # noqa: PLC0415

    sink = LiveLog()
    name, where = run.metadata.name, client.command_options(run.metadata.namespace)
    detached = telling(
        f"Detached: {name} goes on.",
        f"  return to it   trainyard logs -f {name}{where}",
        f"  stop it        trainyard cancel {name}{where}",
    )
    try:
        with detached, sink:
            finished = running.follow(run, sink=sink, client=client)
    except Unreachable as exc:
        raise Unreachable(
            exc.message, fix=f"{name} goes on. Return to it: trainyard logs -f {name}{where}"
        ) from exc
    sum_up(finished, where)
    if missed := running.missed(finished, left):
        note(
            f"Its last words name what .gitignore left behind: {', '.join(missed)}.\n"
            f"  → take it along: trainyard run … --include '{missed[0]}'",
            style="yellow",
        )
    sys.stdout.flush()
    return exit_code(finished) or (1 if running.unregistered(finished) else 0)


def sum_up(run: "Run", where: str = "") -> None:
    """Say in a line or two how *run* ended, and what made it so; *where*: options to find it."""
    from trainyard.running import unrecorded, unregistered  # noqa: PLC0415  # not for --help
    from trainyard.settling import judge  # noqa: PLC0415

    status, verdict = run.status, judge(run)
    facts = [
        f"{run.metadata.name}: {status.phase or 'finished'}",
        f"in {status.duration}" if status.duration else "",
        status.metric or "",
        f"registered as {status.model_version}" if status.model_version else "",
    ]
    note(", ".join(fact for fact in facts if fact), style="green" if verdict.good else "red")
    if not verdict.good:
        note(f"{verdict.reason}: {verdict.message}")
    if why := unrecorded(run):
        note(f"Its metrics and log are not on record yet: {why}", style="yellow")
        note(f"  look again     trainyard describe run {run.metadata.name}{where}")
    if status.run_id:
        note(f"  look at it     trainyard ui {run.metadata.name}{where}", style="dim")
    if (why := unregistered(run)) and run.spec.register_ is not None:
        model = run.spec.register_.model
        note(f"Not registered as {model}: {why}", style="red")
        if "trainyard register" not in why:
            note(f"  → trainyard register {run.metadata.name} --as {model}{where}")
