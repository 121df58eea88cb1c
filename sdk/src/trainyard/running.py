"""What one does with Runs that exist: read their log, follow, repeat and stop them."""

import codecs
import sys
from collections.abc import Mapping, Sequence

from trainyard_api.run import Run

from trainyard import following, submission
from trainyard.client import Client
from trainyard.errors import InvalidInput, TrainyardError
from trainyard.following import AttemptLog, Sink
from trainyard.parameters import Parameter
from trainyard.session import client_or_default, run_of
from trainyard.settling import judge

_RECORD_SECONDS = 10
# What passes by itself, so that it is worth a moment's waiting.
_STILL_REGISTERING = frozenset(
    {"Registering", "VersionNumberTaken", "TrackingUnavailable", "APIServerUnavailable", "Conflict"}
)


def logs(run: Run | str, *, attempt: int = 0, client: Client | None = None) -> str:
    """Return the log of a Run as it is recorded, also when its pod is gone.

    Args:
        attempt: which one; default: the last.

    Raises:
        NotFound: there is no such Run.
        InvalidInput: it has no such attempt.

    Example:
        >>> print(ty.logs("digits-deep"))  # doctest: +SKIP
    """
    client = client_or_default(client)
    kept = _Kept()
    print_attempt(client, run_of(client, run), kept, attempt=attempt)
    return bytes(kept.data).decode(errors="replace")


def follow(run: Run | str, *, sink: Sink | None = None, client: Client | None = None) -> Run:
    """Print the log of a Run until it ends, and return it with its metrics and its version.

    Args:
        sink: where the log goes; default: standard output, in plain lines.

    Raises:
        NotFound: there is no such Run, or it is deleted.
        Unreachable: nobody answered for as long as patience lasts; the Run goes on.

    Example:
        >>> ty.follow(ty.run("examples/01-first-model")).status.metrics  # doctest: +SKIP
    """
    client = client_or_default(client)
    finished = following.follow(client, run_of(client, run), sink or PlainLog())
    return recorded(client, finished)


def cancel(run: Run | str, *, client: Client | None = None) -> Run:
    """Stop a Run for good; what it logged stays. One that has finished is returned as it is.

    Raises:
        NotFound: there is no such Run.

    Example:
        >>> ty.cancel("digits-deep")  # doctest: +SKIP
    """
    client = client_or_default(client)
    found = run_of(client, run)
    if judge(found).settled:
        return found
    return client.patch(
        Run,
        found.metadata.name,
        [{"op": "add", "path": "/spec/cancel", "value": True}],
        namespace=found.metadata.namespace,
        what=f"cancel Run {found.metadata.name}",
    )


def rerun(
    run: Run | str,
    *,
    parameters: Mapping[str, Parameter] | None = None,
    name: str = "",
    client: Client | None = None,
) -> Run:
    """Create a Run like *run*, code and all, with some parameters changed.

    Raises:
        NotFound: there is no such Run.
        Conflict: the name is taken.

    Example:
        >>> ty.rerun("digits-deep", parameters={"n_estimators": 500})  # doctest: +SKIP
    """
    client = client_or_default(client)
    old = run_of(client, run)
    return submission.create(client, submission.changed(old, parameters or {}, name=name))


def print_attempt(client: Client, run: Run, sink: Sink, *, attempt: int = 0) -> None:
    """Print what is recorded of an attempt, the last one by default; nothing if there is none.

    Raises:
        InvalidInput: there is no such attempt.
    """
    numbers = [each.number for each in run.status.attempts]
    if attempt and attempt not in numbers:
        raise InvalidInput(
            f"Run {run.metadata.name} has no attempt {attempt}",
            fix=f"It has {', '.join(map(str, numbers)) or 'none yet'}",
        )
    if numbers:
        AttemptLog(client, run, attempt or numbers[-1], sink).print_now()


def recorded(client: Client, run: Run) -> Run:
    """Wait a little for the metrics and the version, which come after the end of the program."""
    try:
        run = client.wait(run, condition="Recorded", timeout=_RECORD_SECONDS)
        if run.spec.register_ is None or run.status.model_version:
            return run
        return _registered(client, run)
    except TrainyardError:
        return run


def unregistered(run: Run) -> str:
    """Say why the model of a Run that succeeded is not registered though that was asked for."""
    if run.spec.register_ is None or run.status.phase != "Succeeded" or run.status.model_version:
        return ""
    condition = run.status.condition("Registered")
    if condition is None:
        return "nobody has registered it yet"
    return f"{condition.reason}: {condition.message}"


def unrecorded(run: Run) -> str:
    """Say why what a Run that is over logged is not on record yet; "" if it is."""
    condition = run.status.condition("Recorded")
    if condition is not None and condition.status == "True":
        return ""
    if condition is None:
        return "nobody has recorded it yet"
    return f"{condition.reason}: {condition.message}"


def missed(run: Run, left: Sequence[str]) -> list[str]:
    """List what of *left*, files that stayed behind, the last words of a failed Run name."""
    if judge(run).good or not run.status.attempts:
        return []
    words = "\n".join(run.status.attempts[-1].log_tail)
    return [name for name in left if name in words or f"{name.rstrip('/')}/" in words]


class PlainLog:
    """A sink for notebooks and files: the log as text, states as lines of their own."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._told = ""
        self._in_line = False

    def write(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        sys.stdout.write(text)
        sys.stdout.flush()
        self._in_line = not text.endswith("\n") if text else self._in_line

    def state(self, text: str) -> None:
        if text != self._told:
            sys.stdout.write(f"{chr(10) if self._in_line else ''}· {text}\n")
            self._told, self._in_line = text, False


class _Kept:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def state(self, text: str) -> None:
        """Say nothing: the log alone is asked for."""


def _registered(client: Client, run: Run) -> Run:
    """Wait a little until registering has come to an end, good or bad."""
    name, where = run.metadata.name, run.metadata.namespace
    for _, latest in client.watch(Run, name, namespace=where, timeout=_RECORD_SECONDS):
        run = latest
        condition = run.status.condition("Registered")
        if condition is None or condition.reason not in _STILL_REGISTERING:
            break
    return run
