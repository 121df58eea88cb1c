"""From batches to answers: queue, join, predict, cut apart, write. Knows nothing of transport.

    submit ─► queue ─► end of the loop's turn ─► joined batch ─► predict ─► each its rows ─► written
                 ▲                                   │ raised
                 └── while the thread is busy        └─► its halves ─► the row that did it

Requests that became ready in one turn of the event loop share a call of the model; nothing
waits for more to come. What a call costs decides where it is made, see `Pace`; what arrives
while the thread is busy is the next batch. Whoever waited too long, or has gone, is not
predicted for. Nothing that a model raises, `SystemExit` and its like included, gets further
than its own request.
"""

import asyncio
import logging
from asyncio import events
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Any, Final, Protocol

from trainyard_serving.batch import Batch, joined
from trainyard_serving.callers import PRESENT, Caller
from trainyard_serving.errors import (
    Abandoned,
    BadOutput,
    ModelFailed,
    NotReady,
    Overloaded,
    ServingError,
    told,
)
from trainyard_serving.joining import cut
from trainyard_serving.metrics import Metrics
from trainyard_serving.pace import Pace

LOG = logging.getLogger(__name__)
MAX_BATCH_ROWS: Final = 1024
MAX_WAITING: Final = 4096
DEADLINE_SECONDS: Final = 30.0
LONGEST_CALL_SECONDS: Final = 600.0

Done = Callable[[Any, ServingError | None], None]
"""Called once, in the loop's thread: with what was written, or with None and the error."""


class Model(Protocol):
    """What a runtime loads. Called from one thread at a time, unless `any_thread` from only one."""

    @property
    def row_independent(self) -> bool:
        """Say whether a row's prediction is the same whatever rows are beside it."""

    @property
    def any_thread(self) -> bool:
        """Say whether it is known to be the same in another thread than it was loaded in."""

    def predict(self, batch: Batch) -> Any: ...


# Frozen ones cost a microsecond more to make, and each request makes both.
@dataclass(slots=True)
class _Waiting:
    batch: Batch
    done: Done
    large: bool
    write: Callable[[Any], Any]
    caller: Caller
    since: float


@dataclass(slots=True)
class _Outcome:
    result: Any = None
    error: ServingError | None = None


class Dataplane:
    """One loaded model and the requests that wait for it; belongs to one event loop.

    Attributes:
        broken: What is wrong with the machinery itself, "" while it works. A model that raises
            breaks nothing; one that does not come back does.
        busy: Why nothing more should be asked now, though a call may still come back.
    """

    def __init__(
        self,
        model: Model,
        meter: Metrics,
        *,
        row_wise: bool = True,
        deadline: float = DEADLINE_SECONDS,
        longest_call: float = LONGEST_CALL_SECONDS,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        """Belong to one event loop; `thread` is the one that the model was loaded in."""
        self._model = model
        self._meter = meter
        self._joins = row_wise and model.row_independent
        self._any_thread = model.any_thread
        self._deadline = deadline
        self._queue: deque[_Waiting] = deque()
        self._scheduled = False
        self._pace = Pace()
        self._longest_call = longest_call
        self._began: float | None = None
        self._thread = thread or one_thread()
        # Started now: where there is no room for a thread, the server does not become ready.
        self._thread.submit(lambda: None)
        self._closed = False
        self.broken = self.busy = ""

    def warm_up(self, batch: Batch) -> None:
        """Predict as often as it takes to know what a call costs, for a second at most.

        Raises:
            ModelFailed: The model refuses its own input example.
        """
        try:
            started = perf_counter()
            while not self._pace.known and perf_counter() - started < 1:
                self._timed(batch)
        except BaseException as exc:
            raise ModelFailed(f"the model failed on its own input example: {told(exc)}") from exc

    def submit(
        self,
        batch: Batch,
        done: Done,
        *,
        large: bool = False,
        write: Callable[[Any], Any] = lambda result: result,
        caller: Caller = PRESENT,
        since: float | None = None,
    ) -> None:
        """Queue a request; `done` is called in a later turn of the loop.

        Args:
            large: The model is called in the thread whatever it cost before.
            write: Makes the answer of the prediction, where the model was called.
            since: `perf_counter()` when the request was complete; now, if not given.

        Raises:
            Overloaded: Too many requests wait already.
        """
        if len(self._queue) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} requests wait for the model: try again later")
        since = perf_counter() if since is None else since
        self._queue.append(_Waiting(batch, done, large, write, caller, since))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def sweep(self) -> None:
        """Refuse what has waited too long, also while the model is busy with others."""
        queue, now = self._queue, perf_counter()
        taken = 0.0 if self._began is None else now - self._began
        if queue and taken > self._deadline:
            self.busy = f"a call of the model takes longer than {self._deadline:g} s"
        if taken > self._longest_call:
            self.broken = f"a call of the model did not come back within {self._longest_call:g} s"
        while queue and self._dropped(queue[0], now):
            queue.popleft()

    def close(self) -> None:
        """End the thread; what still waits is never answered."""
        self._closed = True
        self._queue.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> None:
        """Predict for what is queued now; what comes meanwhile has its own turn."""
        group = self._next_group()
        if not group:
            self._finished([], [])
            return
        if self._in_thread(group):
            self._beside(group)
            return
        joins = self._joins
        answers = self._inline(group)
        if answers is None:
            self._beside(group, raised_inline=joins == self._joins)
        else:
            self._finished(group, answers)

    def _beside(self, group: list[_Waiting], *, raised_inline: bool = False) -> None:
        """Predict in the thread, where a model that needs one thread of its own works too."""

        def came(future: asyncio.Future[list[_Outcome]]) -> None:
            self._began, self.busy = None, ""
            if self._closed:
                return
            try:
                answers = future.result()
                self.broken = ""
                if raised_inline and not any(answer.error for answer in answers):
                    self._pace.fails_inline()
            except BaseException as exc:  # noqa: BLE001  # whatever it was, they wait for an answer
                answers = self._broke(group, exc)
            self._finished(group, answers)

        loop = asyncio.get_running_loop()
        self._began = perf_counter()
        try:
            loop.run_in_executor(self._thread, self._answers, group).add_done_callback(came)
        except RuntimeError as exc:
            self._began = None
            self._finished(group, self._broke(group, exc))

    def _broke(self, group: list[_Waiting], raised: BaseException) -> list[_Outcome]:
        """Remember that the thread itself failed; it is tried again with the next request."""
        self.broken = f"the thread that predicts failed: {told(raised)}"
        LOG.error("%s", self.broken, exc_info=raised)
        return [_Outcome(error=NotReady(self.broken))] * len(group)

    def _finished(self, group: list[_Waiting], answers: list[_Outcome]) -> None:
        try:
            for waiting, outcome in zip(group, answers, strict=True):
                self._tell(waiting, outcome)
        finally:
            self._scheduled = bool(self._queue)
            if self._scheduled:
                asyncio.get_running_loop().call_soon(self._turn)

    def _tell(self, waiting: _Waiting, outcome: _Outcome) -> None:
        if outcome.error is None:
            self._meter.predicted(waiting.batch.rows)
        elif isinstance(outcome.error, ModelFailed):
            self._meter.failed()
        try:
            waiting.done(outcome.result, outcome.error)
        except Exception:
            LOG.exception("unexpected error in answering a request")

    def _dropped(self, waiting: _Waiting, now: float) -> bool:
        """Answer whoever is not predicted for: the late and the gone."""
        if waiting.caller.gone:
            error: ServingError = Abandoned("the caller has gone")
        elif (late := self.late(waiting.since, now)) is not None:
            error = late
        else:
            return False
        self._tell(waiting, _Outcome(error=error))
        return True

    def late(self, since: float, now: float) -> Overloaded | None:
        """Return the refusal of a request that was complete too long ago; in any thread."""
        if now - since <= self._deadline:
            return None
        text = f"the model did not get to it within {self._deadline:g} s: try again later"
        return Overloaded(text)

    def _next_group(self) -> list[_Waiting]:
        """Take from the queue's head what can share one call of the model."""
        queue, group, now = self._queue, list[_Waiting](), perf_counter()
        layout: tuple[Any, ...] = ()
        rows = 0
        while queue:
            waiting = queue[0]
            if self._dropped(waiting, now):
                queue.popleft()
                continue
            if group:
                layout = layout or group[0].batch.layout()
                if rows + waiting.batch.rows > MAX_BATCH_ROWS or waiting.batch.layout() != layout:
                    break
            rows += waiting.batch.rows
            group.append(queue.popleft())
            if not self._joins:
                break
        return group

    def _in_thread(self, group: list[_Waiting]) -> bool:
        rows = sum(waiting.batch.rows for waiting in group)
        large = rows > MAX_BATCH_ROWS // 4 or any(waiting.large for waiting in group)
        return large or not self._any_thread or not self._pace.inline()

    def _inline(self, group: list[_Waiting]) -> list[_Outcome] | None:
        """Predict on the loop's thread; None if the model raised.

        To the model no loop runs here, so that its own `asyncio.run` works.
        """
        started = perf_counter()
        loop = asyncio.get_running_loop()
        events._set_running_loop(None)  # noqa: SLF001  # what loops themselves call
        try:
            outcomes = self._at_once(group)
            answers = outcomes and list(map(_write, group, outcomes))
        finally:
            events._set_running_loop(loop)  # noqa: SLF001
        self._pace.was_inline(perf_counter() - started)
        return answers

    def _at_once(self, group: list[_Waiting]) -> list[_Outcome] | None:
        """Predict by one call; None if the model raised or its answer can't be cut."""
        if len(group) > 1:
            return self._together([waiting.batch for waiting in group])
        try:
            return [_Outcome(self._timed(group[0].batch))]
        except BaseException:  # noqa: BLE001  # the model's code may raise anything
            return None

    def _answers(self, group: list[_Waiting]) -> list[_Outcome]:
        """Predict and write, in the thread."""
        return list(map(_write, group, self._outcomes(group)))

    def _timed(self, batch: Batch) -> Any:
        doubtful = self._pace.doubtful
        worked, started = thread_time() if doubtful else 0.0, perf_counter()
        result = self._model.predict(batch)
        cost = perf_counter() - started
        self._meter.called(batch.rows, cost)
        self._pace.called(cost, thread_time() - worked if doubtful else 0.0)
        return result

    def _outcomes(self, group: list[_Waiting]) -> list[_Outcome]:
        """Predict for all at once; if that fails, for each half, down to the request that did it.

        So one bad request costs the others few calls, not one each.
        """
        if len(group) == 1 or not self._joins:
            return [self._alone(waiting.batch) for waiting in group]
        together = self._together([waiting.batch for waiting in group])
        if together is not None:
            return together
        middle = len(group) // 2
        return self._outcomes(group[:middle]) + self._outcomes(group[middle:])

    def _together(self, batches: list[Batch]) -> list[_Outcome] | None:
        try:
            batch = joined(batches)
            result = self._timed(batch)
            parts = cut(result, [each.rows for each in batches])
            if parts is None:
                LOG.warning("predictions don't follow the rows: requests are no longer joined")
                self._joins = False
                return None
            return [_Outcome(rows) for rows in parts]
        except BaseException:  # noqa: BLE001  # the model's code may raise anything; halved
            return None

    def _alone(self, batch: Batch) -> _Outcome:
        try:
            return _Outcome(self._timed(batch))
        except ServingError as exc:
            return _Outcome(error=exc)
        except BaseException as exc:  # noqa: BLE001  # the model's code may raise anything
            return _Outcome(error=self._blamed(batch, exc))

    def _blamed(self, batch: Batch, raised: BaseException) -> ModelFailed:
        """Find the first row that the model refuses, by halves."""
        start, stop = 0, batch.rows
        while self._joins and stop - start > 1:
            middle = (start + stop) // 2
            try:
                self._model.predict(batch.part(start, middle))
                start = middle
            except BaseException as exc:  # noqa: BLE001  # the model's code may raise anything
                stop, raised = middle, exc
        where = f" on row {start}" if self._joins else ""
        LOG.info("the model failed%s", where, exc_info=raised)
        return ModelFailed(f"the model failed{where}: {told(raised)}")


def one_thread() -> ThreadPoolExecutor:
    """Return the thread for all that one model does: what it keeps may belong to its thread."""
    return ThreadPoolExecutor(1, thread_name_prefix="predict")


def _write(waiting: _Waiting, outcome: _Outcome) -> _Outcome:
    if outcome.error is not None or waiting.caller.gone:
        return outcome
    try:
        outcome.result = waiting.write(outcome.result)
        return outcome
    except ServingError as exc:
        return _Outcome(error=exc)
    except BaseException as exc:  # what a model returns has code of its own too
        LOG.info("a prediction can't be written", exc_info=exc)
        return _Outcome(error=BadOutput(f"the model's answer can't be written: {told(exc)}"))
