"""`trainyard run`: from a folder to a finished Run, in the cluster or right here."""

import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trainyard.cli import run_options
from trainyard.cli.options import Context, Namespace, Parameters, client_for
from trainyard.cli.terminal import LiveLog, note, progress

if TYPE_CHECKING:
    from trainyard_api.run import Run

    from trainyard.client import Client
    from trainyard.packing import Archive
    from trainyard.submission import RunOptions

_NAMED = 5
_RECORD_SECONDS = 10
# What passes by itself, so that it is worth a moment's waiting.
_STILL_REGISTERING = frozenset(
    {"Registering", "VersionNumberTaken", "TrackingUnavailable", "APIServerUnavailable", "Conflict"}
)


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
    detach: run_options.Detach = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Run a folder: pack it, upload it, run it in the cluster, follow its log.

    No image build and no git push: what .gitignore does not name travels as it
    is. The exit code is the program's. Ctrl-C detaches, the Run goes on.

    \b
    Examples:
      trainyard run --local examples/01-first-model
      trainyard run examples/01-first-model -p max_depth=12 -p n_estimators=200
      trainyard run . --experiment digits --register digits --memory 2Gi
      trainyard run . -d -- python -m package.train --fast
    """
    from trainyard.parameters import parse_pairs, parse_parameters  # noqa: PLC0415  # not for --help
    from trainyard.program import command_for  # noqa: PLC0415

    program = command_for(folder, command or [])
    parameters = parse_parameters(params or [])
    variables = parse_pairs(env or [], option="--env")
    if local:
        _say_unused({"--register": register, "--image": image, "--runtime": runtime})
        code = _run_here(folder, program, parameters, experiment=experiment, env=variables)
        raise typer.Exit(code)
    from trainyard.submission import RunOptions  # noqa: PLC0415  # not for --local

    what = RunOptions(command=program, parameters=parameters, env=variables, name=name)
    where = replace(what, runtime=runtime, image=image, cpu=cpu, memory=memory, gpu=gpu)
    chosen = replace(where, experiment=experiment, timeout=timeout, retry=retry, register=register)
    raise typer.Exit(_run_there(client_for(namespace, context), folder, chosen, detach=detach))


def _say_unused(given: dict[str, str]) -> None:
    for option in (option for option, value in given.items() if value):
        note(f"{option} needs a cluster and does nothing with --local", style="yellow")


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
    if code:
        note(f"Failed with exit code {code} after {took}", style="red")
        return code if 0 < code < 256 else 128 - code if code < 0 else 1
    note(f"Succeeded in {took}", style="green")
    if "MLFLOW_TRACKING_URI" not in os.environ:
        uri = _relative(prepared.tracking_uri)
        note(f"See the results: mlflow ui --backend-store-uri {uri}")
    return 0


def _relative(uri: str) -> str:
    here = Path.cwd().as_posix()
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{path.removeprefix(here + '/')}"


def _run_there(client: "Client", folder: Path, options: "RunOptions", *, detach: bool) -> int:
    created = _submit(client, folder, options)
    if detach:
        print(created.metadata.name)
        return 0
    return follow_to_end(client, created)


def _submit(client: "Client", folder: Path, options: "RunOptions") -> "Run":
    from trainyard.packing import human_size, pack  # noqa: PLC0415  # not for --help
    from trainyard.submission import (  # noqa: PLC0415
        archive_run,
        create,
        name_prefix,
        rehearse,
        upload,
    )

    rehearse(client, options, folder)
    archive = pack(folder)
    _tell(archive)
    with archive.content, progress("Uploading", archive.size) as sent:
        fresh = upload(client, archive, sent=sent)
    size = human_size(archive.size)
    note(f"{'Uploaded' if fresh else 'Already there:'} {archive.files} files, {size}", style="dim")
    created = create(client, archive_run(options, archive.digest, prefix=name_prefix(folder)))
    note(f"Created Run {created.metadata.name} in namespace {created.metadata.namespace}")
    return created


def _tell(archive: "Archive") -> None:
    from trainyard.packing import human_size  # noqa: PLC0415  # not for --help

    if archive.skipped:
        names = ", ".join(archive.skipped[:_NAMED])
        note(
            f"Left out, as links that lead outside, nowhere or in a circle: {names}",
            style="yellow",
        )
    if archive.ignored:
        more = len(archive.ignored) - _NAMED
        names = ", ".join(archive.ignored[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        note(f"Left out, as .gitignore says: {names}", style="dim")
    if archive.is_large:
        largest = ", ".join(f"{name} ({human_size(size)})" for name, size in archive.largest)
        note(
            f"{human_size(archive.size)} is a lot to travel with a Run. The largest: {largest}."
            " Name data in .gitignore and read it from a bucket or a volume",
            style="yellow",
        )


def follow_to_end(client: "Client", run: "Run") -> int:
    """Follow *run*, sum it up, and return its exit code; Ctrl-C detaches with 130."""
    from trainyard.following import exit_code, follow  # noqa: PLC0415  # not for --help

    sink = LiveLog()
    name = run.metadata.name
    where = elsewhere(run)
    try:
        finished = follow(client, run, sink)
    except KeyboardInterrupt:
        sink.close()
        sink.end_line()
        note(f"\nDetached: {name} goes on.", style="bold")
        note(f"  return to it   trainyard logs -f {name}{where}")
        note(f"  stop it        trainyard cancel {name}{where}")
        return 130
    finally:
        sink.close()
    sink.end_line()
    finished = recorded(client, finished)
    sum_up(finished)
    sys.stdout.flush()
    return exit_code(finished) or (1 if unregistered(finished) else 0)


def elsewhere(run: "Run") -> str:
    """Return the option that a command about *run* needs in a namespace of its own."""
    return f" -n {run.metadata.namespace}" if run.metadata.namespace != "default" else ""


def recorded(client: "Client", run: "Run") -> "Run":
    """Wait a little for the metrics and the version, which come after the end of the program."""
    from trainyard.errors import TrainyardError  # noqa: PLC0415  # not for --help

    try:
        run = client.wait(run, condition="Recorded", timeout=_RECORD_SECONDS)
        if run.spec.register_ is None or run.status.model_version:
            return run
        return _registered(client, run)
    except TrainyardError:
        return run


def _registered(client: "Client", run: "Run") -> "Run":
    """Wait a little until registering has come to an end, good or bad."""
    deadline = time.monotonic() + _RECORD_SECONDS
    for _, latest in client.watch(type(run), run.metadata.name, timeout=_RECORD_SECONDS):
        run = latest
        condition = run.status.condition("Registered")
        waits = condition is not None and condition.reason in _STILL_REGISTERING
        if not waits or time.monotonic() > deadline:
            break
    return run


def unregistered(run: "Run") -> str:
    """Say why the model of a Run that succeeded is not registered though that was asked for."""
    if run.spec.register_ is None or run.status.phase != "Succeeded" or run.status.model_version:
        return ""
    condition = run.status.condition("Registered")
    if condition is None:
        return "nobody has registered it yet"
    return f"{condition.reason}: {condition.message}"


def sum_up(run: "Run") -> None:
    """Say in a line or two how *run* ended, and what made it so."""
    from trainyard.settling import judge  # noqa: PLC0415  # not for --help

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
    if status.run_id:
        note(f"  look at it     trainyard ui {run.metadata.name}{elsewhere(run)}", style="dim")
    if (why := unregistered(run)) and run.spec.register_ is not None:
        model = run.spec.register_.model
        note(f"Not registered as {model}: {why}", style="red")
        if "trainyard register" not in why:
            note(f"  → trainyard register {run.metadata.name} --as {model}")
