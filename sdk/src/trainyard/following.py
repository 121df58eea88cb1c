"""Follow a Run's log to its end, as it is recorded.

Reads only. Where the lines go, and how waiting looks, is the sink's affair.
"""

import time
from contextlib import suppress
from typing import Protocol

from trainyard_api.run import Attempt, Run

from trainyard.client import Client
from trainyard.errors import ApiError, NotFound, Unreachable
from trainyard.settling import condition_of, judge

_PAUSE = 0.5
_LAST_SECONDS = 30.0
_RETRIED_SECONDS = 3.0
_SERVER_ERROR = 500


class Sink(Protocol):
    """Where a followed log goes."""

    def write(self, data: bytes) -> None:
        """Take a piece of the log as the program printed it."""

    def state(self, text: str) -> None:
        """Take a new state of the Run, while there is nothing to print."""


def follow(client: Client, run: Run, sink: Sink) -> Run:
    """Print the log of every attempt from now on, and return the finished Run.

    An attempt whose log was read already when it was replaced is not printed
    again; the latest one is printed from its start.
    """
    done = max((each.number for each in run.status.attempts), default=1) - 1
    while True:
        run, attempt = _next_attempt(client, run, done, sink)
        if attempt is None:
            return run
        if attempt.number > 1:
            sink.state(f"Attempt {attempt.number}")
        AttemptLog(client, run, attempt.number, sink).print_to_end()
        done = attempt.number


def _next_attempt(client: Client, run: Run, done: int, sink: Sink) -> tuple[Run, Attempt | None]:
    """Wait for an attempt after number *done* that has a pod, or for the end of the Run."""
    name = run.metadata.name
    for event, latest in client.watch(Run, name, namespace=run.metadata.namespace):
        if event == "DELETED":
            raise NotFound(f"Run {name} was deleted while it was followed", status=404)
        for attempt in latest.status.attempts:
            if attempt.number > done and (attempt.pod or attempt.completion_time):
                return latest, attempt
        if judge(latest).settled:
            return latest, None
        sink.state(describe(latest))
    raise AssertionError("a watch without time-out does not end")


def describe(run: Run) -> str:
    """Say in a line where *run* stands: the reason and what the operator says about it."""
    finished = condition_of(run, "Finished")
    if finished is None:
        return "waiting for the operator"
    return f"{finished.reason}: {finished.message}" if finished.message else finished.reason


def exit_code(run: Run) -> int:
    """Return what the CLI exits with: the program's own code, 0 only if the Run succeeded."""
    if judge(run).good:
        return 0
    codes = [each.exit_code for each in run.status.attempts if each.exit_code]
    return codes[-1] if codes and 0 < codes[-1] < 256 else 1


class AttemptLog:
    """The log of one attempt as tracking has it: whole, and about a second behind the program.

    The pod is not asked: of a program that prints much the cluster keeps the end alone.
    """

    def __init__(self, client: Client, run: Run, number: int, sink: Sink) -> None:
        self._client = client
        self._run = run
        self._number = number
        self._sink = sink
        self._written = 0

    def print_to_end(self) -> None:
        """Print until the attempt is over and all is printed."""
        patience = Patience()
        while True:
            attempt = self._attempt()
            over = attempt is None or attempt.completion_time is not None
            if judge(self._run, "Recorded").good:
                self._print_rest(attempt)
                return
            grew = self._print_more()
            if over and patience.is_over(grew, last=judge(self._run).settled):
                self._print_tail(attempt)
                return
            time.sleep(_PAUSE)

    def print_now(self) -> None:
        """Print what there is, and do not wait for more.

        Raises:
            ApiError, Unreachable: the tracking service does not answer for as long as patience
                lasts.
        """
        self._client.tracking.patience.ask(self._read, harmless=True)
        self._print_tail(self._attempt())

    def _print_rest(self, attempt: Attempt | None) -> None:
        """Print the end of a log that is whole; that it can't be had does not end the following."""
        try:
            self._client.tracking.patience.ask(self._read, harmless=True)
        except (ApiError, Unreachable) as exc:
            if not exc.passing:
                raise
            self._sink.state(f"the rest of the log is missing here: {exc}")
        self._print_tail(attempt)

    def _print_more(self) -> bool:
        """Print what tracking has beyond what was printed; tell whether that was anything."""
        before = self._written
        try:
            self._read()
        except (ApiError, Unreachable) as exc:
            if not exc.passing and isinstance(exc, ApiError) and exc.status < _SERVER_ERROR:
                raise
            self._sink.state(f"waiting for the log: {exc}")
        return self._written > before

    def _read(self) -> None:
        """Print what tracking has, from what was printed on."""
        run_id = self._run.status.run_id
        if not run_id:
            return
        place = (self._run.metadata.namespace, run_id, self._number)
        with (
            suppress(NotFound),
            self._client.tracking.log(*place, offset=self._written) as blocks,
        ):
            for block in blocks:
                self._written += len(block)
                self._sink.write(block)

    def _print_tail(self, attempt: Attempt | None) -> None:
        """Print the last lines that the status keeps, when there is nothing else."""
        if self._written or attempt is None:
            return
        for line in attempt.log_tail:
            self._sink.write(f"{line}\n".encode())

    def _attempt(self) -> Attempt | None:
        self._run = self._client.get(
            Run, self._run.metadata.name, namespace=self._run.metadata.namespace
        )
        found = (each for each in self._run.status.attempts if each.number == self._number)
        return next(found, None)


class Patience:
    """How long to wait for the last lines of an attempt that is over.

    A Run says when all is recorded; an attempt that was retried does not, and neither does a Run
    whose tracking service is down.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()

    def is_over(self, grew: bool, *, last: bool) -> bool:
        """Tell whether nothing more is to be waited for; *last*: the Run is over, too."""
        if grew:
            self._since = time.monotonic()
        return time.monotonic() - self._since > (_LAST_SECONDS if last else _RETRIED_SECONDS)
