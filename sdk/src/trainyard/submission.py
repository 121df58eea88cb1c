"""From a folder and options to a Run in the cluster: build it, upload the code, create it."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from trainyard_api.contract import CREATED_BY_ANNOTATION
from trainyard_api.run import Run

from trainyard._patience import on_stderr
from trainyard._progress import in_lines
from trainyard.client import Client
from trainyard.errors import InvalidInput, TrainyardError
from trainyard.kinds import validated
from trainyard.packing import Archive, pack, remarks
from trainyard.parameters import Parameter, faithful, refuse_too_much
from trainyard.program import command_for
from trainyard.session import client_or_default

GPU = "nvidia.com/gpu"
_LONGEST_PREFIX = 40


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run, where and how; empty values leave the choice to the cluster's defaults."""

    command: list[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    name: str = ""
    experiment: str = ""
    runtime: str = ""
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cpu: str = ""
    memory: str = ""
    gpu: int = 0
    timeout: str = ""
    retry: int = 0
    register: str = ""


def archive_run(options: RunOptions, digest: str, *, prefix: str) -> Run:
    """Build the Run that executes an uploaded archive.

    Args:
        prefix: start of the name that the cluster completes, unless the options name the Run.

    Raises:
        InvalidInput: an option breaks a rule of the API; the message names the field.
    """
    spec: dict[str, Any] = {
        "experiment": options.experiment,
        "source": {"archive": {"digest": digest}},
        "command": options.command,
        "parameters": faithful(options.parameters),
        "runtime": options.runtime if options.runtime or options.image else "sklearn",
        "image": options.image,
        "env": [{"name": name, "value": value} for name, value in options.env.items()],
        "resources": _resources(options),
        "retry": {"userError": options.retry} if options.retry else None,
        "timeout": options.timeout,
        "register": _register(options.register),
    }
    named = {"name": options.name} if options.name else {"generateName": prefix}
    return build_run({"metadata": named, "spec": {k: v for k, v in spec.items() if v}})


def _register(wanted: str) -> dict[str, str] | None:
    """Read MODEL or MODEL:ARTIFACT."""
    model, _, artifact = wanted.partition(":")
    named = {"artifactPath": artifact} if artifact else {}
    return {"model": model, **named} if wanted else None


def _resources(options: RunOptions) -> dict[str, Any]:
    """Reserve what is asked for; memory and GPUs are limits too, CPU time may be borrowed."""
    memory = {"memory": options.memory} if options.memory else {}
    gpu = {GPU: str(options.gpu)} if options.gpu else {}
    requests = {**({"cpu": options.cpu} if options.cpu else {}), **memory, **gpu}
    limits = {**memory, **gpu}
    return {k: v for k, v in (("requests", requests), ("limits", limits)) if v}


def build_run(body: dict[str, Any]) -> Run:
    """Read *body* as a Run, saying which field is wrong if one is."""
    return validated(Run, {**body, "kind": "Run"}, what="The Run is not possible")


def changed(run: Run, parameters: Mapping[str, Parameter], *, name: str = "") -> Run:
    """Build a new Run like *run* with some parameters changed or added."""
    spec = run.to_object()["spec"]
    for field_name in ("suspend", "cancel"):
        spec.pop(field_name, None)
    spec["parameters"] = {**(run.spec.parameters or {}), **faithful(parameters)}
    refuse_too_much(spec["parameters"])
    base = run.metadata.generate_name or f"{run.metadata.name[:_LONGEST_PREFIX]}-"
    named = {"name": name} if name else {"generateName": base}
    metadata = {**named, "namespace": run.metadata.namespace}
    return build_run({"metadata": metadata, "spec": spec})


def name_prefix(folder: Path) -> str:
    """Return how the names of the Runs of *folder* begin: `01-first-model` gives `first-model-`."""
    slug = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower())
    slug = slug.lstrip("-0123456789")[:_LONGEST_PREFIX].strip("-")
    return f"{slug or 'run'}-"


def rehearse(client: Client, options: RunOptions, folder: Path) -> None:
    """Have the cluster judge the Run of a folder before its code travels.

    Raises:
        InvalidInput, Refused: an option breaks a rule of the API; the message names the field.
        Conflict: the name is taken.
    """
    sketch = archive_run(options, f"sha256:{'0' * 64}", prefix=name_prefix(folder))
    client.create(sketch, dry_run=True)


def upload(client: Client, archive: Archive, *, sent: Callable[[int], None] | None = None) -> bool:
    """Upload *archive* unless the tracking service has it; tell whether it had to."""
    if client.tracking.has_blob(client.namespace, archive.digest):
        return False
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        told += count
        if sent is not None:
            sent(count)

    def put() -> None:
        # A second try begins anew, unless the first one arrived and only its answer did not.
        if told and client.tracking.has_blob(client.namespace, archive.digest):
            return
        tell(-told)
        archive.content.seek(0)
        where = (client.namespace, archive.digest)
        client.tracking.put_blob(*where, archive.content, archive.size, sent=tell)

    client.tracking.patience.ask(put, harmless=True)
    return True


def create(client: Client, made: Run) -> Run:
    """Create a Run that says by whom, for MLflow to show."""
    # Whoever may not ask the cluster for their own name stays unnamed.
    with suppress(TrainyardError):
        annotations = {**made.metadata.annotations, CREATED_BY_ANNOTATION: client.username}
        metadata = made.metadata.model_copy(update={"annotations": annotations})
        made = made.model_copy(update={"metadata": metadata})
    return client.create(made)


def run(
    folder: str | Path,
    command: list[str] | None = None,
    *,
    include: Sequence[str] = (),
    client: Client | None = None,
    **options: Any,
) -> Run:
    """Pack *folder*, upload it and create the Run; return it as the cluster stored it.

    What stays behind is said in a line on standard error.

    Args:
        command: the program; default `python train.py` (or main.py).
        include: what travels although .gitignore names it, such as `data/` or `*.pkl`.
        client: default the one of `ty.use`, else of the current context.
        options: fields of `RunOptions`, such as `parameters`, `experiment`, `register`.

    Raises:
        InvalidInput, Refused: an option breaks a rule; the message names it.
        Conflict: the name is taken.

    Example:
        >>> run = ty.run("examples/01-first-model", parameters={"max_depth": 12})  # doctest: +SKIP
        >>> ty.wait(run).status.metrics                                            # doctest: +SKIP
    """
    client = client_or_default(client)
    place = Path(folder)
    chosen = _options(command_for(place, command or []), options)
    rehearse(client, chosen, place)
    archive = pack(place, include=include)
    for remark in remarks(archive):
        on_stderr(remark)
    with archive.content, in_lines("Uploading", archive.size) as sent:
        upload(client, archive, sent=sent)
    return create(client, archive_run(chosen, archive.digest, prefix=name_prefix(place)))


def _options(command: list[str], given: Mapping[str, Any]) -> RunOptions:
    known = [each.name for each in fields(RunOptions)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InvalidInput(
                f"ty.run has no option {name!r}",
                fix=f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}",
            )
    return RunOptions(command=command, **given)
