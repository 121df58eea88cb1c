"""Follow a Run's log to its end: live from the pod while there is one, else as recorded.

Reads only. Where the lines go, and how waiting looks, is the sink's affair.
"""

import time
from collections.abc import Iterator
from typing import Protocol

from trainyard_api.contract import MAIN_CONTAINER
from trainyard_api.run import Attempt, Run

from trainyard._kube import lines
from trainyard.client import Client
from trainyard.errors import ApiError, Forbidden, NotFound, Refused, Unreachable
from trainyard.settling import condition_of, judge

_PAUSE = 0.5
_IDLE = 300


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
    """The log of one attempt, printed once whatever breaks on the way."""

    def __init__(self, client: Client, run: Run, number: int, sink: Sink) -> None:
        self._client = client
        self._run = run
        self._number = number
        self._sink = sink
        self._written = 0
        self._last = b""

    def print_to_end(self) -> None:
        """Print until the attempt is over and all is printed."""
        while True:
            attempt = self._attempt()
            over = attempt is None or attempt.completion_time is not None
            if self._print_live(attempt):
                if over:
                    return
            elif self.print_recorded() and over:
                return
            elif over:
                self._print_tail(attempt)
                return
            time.sleep(_PAUSE)

    def print_now(self) -> None:
        """Print what there is, and do not wait for more."""
        if not self._print_live(self._attempt(), follow=False) and not self.print_recorded():
            self._print_tail(self._attempt())

    def print_recorded(self) -> bool:
        """Print what tracking has beyond what was printed; tell whether it has a log at all."""
        run_id = self._run.status.run_id
        if not run_id:
            return False
        skip = self._written
        namespace = self._run.metadata.namespace
        try:
            with self._client.tracking.log(namespace, run_id, self._number) as blocks:
                for block in blocks:
                    fresh = block[skip:]
                    skip = max(0, skip - len(block))
                    self._write(fresh)
        except NotFound:
            return False
        return True

    def _print_live(self, attempt: Attempt | None, *, follow: bool = True) -> bool:
        """Print from the pod; tell whether the pod could be asked and its stream ended."""
        if attempt is None or not attempt.pod:
            return False
        path = f"/api/v1/namespaces/{self._run.metadata.namespace}/pods/{attempt.pod}/log"
        what = f"read the log of pod {attempt.pod}"
        try:
            with self._client.kube.stream(
                path, what=what, params=self._params(follow=follow), idle=_IDLE
            ) as answer:
                self._print_lines(lines(answer))
        except (NotFound, Forbidden):
            return False
        except (Refused, Unreachable):
            # The container waits to start, its log is gone with it, or the line broke.
            return attempt.completion_time is None
        except ApiError as exc:
            if exc.status < 500:
                raise
            return False
        return True

    def _params(self, *, follow: bool) -> dict[str, str]:
        params = {"container": MAIN_CONTAINER, "timestamps": "true"}
        if follow:
            params["follow"] = "true"
        if self._last:
            # Whole seconds only: what was printed of this second is skipped line by line.
            params["sinceTime"] = self._last.decode()[:19] + "Z"
        return params

    def _print_lines(self, stamped: Iterator[bytes]) -> None:
        for line in stamped:
            stamp, _, text = line.partition(b" ")
            if stamp <= self._last:
                continue
            self._last = stamp
            self._write(text)

    def _print_tail(self, attempt: Attempt | None) -> None:
        """Print the last lines that the status keeps, when there is nothing else."""
        if self._written or attempt is None:
            return
        for line in attempt.log_tail:
            self._write(f"{line}\n".encode())

    def _write(self, data: bytes) -> None:
        if data:
            self._written += len(data)
            self._sink.write(data)

    def _attempt(self) -> Attempt | None:
        self._run = self._client.get(
            Run, self._run.metadata.name, namespace=self._run.metadata.namespace
        )
        found = (each for each in self._run.status.attempts if each.number == self._number)
        return next(found, None)
