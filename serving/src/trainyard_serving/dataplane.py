"""From batches to predictions: queue, join, predict, cut apart. Knows nothing of transport.

    submit ─► queue ─► end of the loop's turn ─► joined batch ─► predict ─► each its rows
                 ▲                                   │ raised
                 └── while the thread is busy        └─► each request alone ─► the row that did it

Requests that became ready in one turn of the event loop share a call of the model; nothing
waits for more to come. A call that costs more than a millisecond runs in a thread, so that the
loop goes on reading; what arrives meanwhile is the next batch.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

from trainyard_serving.batch import Batch, joined
from trainyard_serving.errors import ModelFailed, Overloaded, ServingError
from trainyard_serving.joining import cut

LOG = logging.getLogger(__name__)
THREAD_ABOVE_SECONDS: Final = 0.001
INLINE_BELOW_SECONDS: Final = 0.0005
MAX_BATCH_ROWS: Final = 1024
MAX_WAITING: Final = 4096

Done = Callable[[Any, ServingError | None], None]
"""Called once, in the loop's thread: with the prediction, or with None and the error."""


class Model(Protocol):
    """What a runtime loads. Called from one thread at a time."""

    @property
    def row_independent(self) -> bool:
        """Say whether a row's prediction is the same whatever rows are beside it."""

    def predict(self, batch: Batch) -> Any: ...


class Meter(Protocol):
    """Where the dataplane counts."""

    def called(self, rows: int, seconds: float) -> None: ...

    def predicted(self, rows: int) -> None: ...

    def failed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    done: Done
    large: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: ServingError | None = None


class Dataplane:
    """One loaded model and the requests that wait for it; belongs to one event loop."""

    def __init__(self, model: Model, meter: Meter, *, row_wise: bool = True) -> None:
        self._model = model
        self._meter = meter
        self._joins = row_wise and model.row_independent
        self._queue: deque[_Waiting] = deque()
        self._scheduled = False
        self._cost = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._threaded = False

    def warm_up(self, batch: Batch) -> None:
        """Predict once more than needed, so that the first request pays nothing for being first.

        Raises:
            ModelFailed: The model refuses its own input example.
        """
        try:
            self._timed(batch)
            self._timed(batch)
        except Exception as exc:
            raise ModelFailed(f"the model failed on its own input example: {_told(exc)}") from exc

    def submit(self, batch: Batch, done: Done, *, large: bool = False) -> None:
        """Queue a request; `done` is called in a later turn of the loop.

        Args:
            large: The model is called in the thread whatever it cost before.

        Raises:
            Overloaded: Too many requests wait already.
        """
        if len(self._queue) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} requests wait for the model: try again later")
        self._queue.append(_Waiting(batch, done, large))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def close(self) -> None:
        """End the thread; what still waits is never answered."""
        self._queue.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> None:
        """Predict for what is queued now; what comes meanwhile has its own turn."""
        group = self._next_group()
        if self._in_thread(group):
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._thread, self._outcomes, group)
            future.add_done_callback(
                lambda done: None if done.cancelled() else self._finished(group, done.result())
            )
            return
        self._finished(group, self._outcomes(group))

    def _finished(self, group: list[_Waiting], outcomes: list[_Outcome]) -> None:
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome.error is None:
                self._meter.predicted(waiting.batch.rows)
            else:
                self._meter.failed()
            try:
                waiting.done(outcome.result, outcome.error)
            except Exception:
                LOG.exception("unexpected error in answering a request")
        self._scheduled = bool(self._queue)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._turn)

    def _next_group(self) -> list[_Waiting]:
        """Take from the queue's head what can share one call of the model."""
        queue = self._queue
        group = [queue.popleft()]
        if not self._joins or not queue:
            return group
        layout, rows = group[0].batch.layout(), group[0].batch.rows
        while queue and rows + queue[0].batch.rows <= MAX_BATCH_ROWS:
            if queue[0].batch.layout() != layout:
                break
            rows += queue[0].batch.rows
            group.append(queue.popleft())
        return group

    def _in_thread(self, group: list[_Waiting]) -> bool:
        limit = INLINE_BELOW_SECONDS if self._threaded else THREAD_ABOVE_SECONDS
        rows = sum(waiting.batch.rows for waiting in group)
        large = rows > MAX_BATCH_ROWS // 4 or any(waiting.large for waiting in group)
        self._threaded = self._cost > limit
        return self._threaded or large

    def _timed(self, batch: Batch) -> Any:
        started = perf_counter()
        result = self._model.predict(batch)
        cost = perf_counter() - started
        self._meter.called(batch.rows, cost)
        self._cost += (cost - self._cost) * (0.2 if self._cost else 1.0)
        return result

    def _outcomes(self, group: list[_Waiting]) -> list[_Outcome]:
        """Predict for all at once; one by one if that fails or can't be cut into rows."""
        if len(group) > 1:
            together = self._together([waiting.batch for waiting in group])
            if together is not None:
                return together
        return [self._alone(waiting.batch) for waiting in group]

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
        except Exception:  # noqa: BLE001  # the model's code may raise anything; asked again alone
            return None

    def _alone(self, batch: Batch) -> _Outcome:
        try:
            return _Outcome(self._timed(batch))
        except ServingError as exc:
            return _Outcome(error=exc)
        except Exception as exc:  # noqa: BLE001  # the model's code may raise anything
            return _Outcome(error=self._blamed(batch, exc))

    def _blamed(self, batch: Batch, raised: Exception) -> ModelFailed:
        """Find the first row that the model refuses, by halves."""
        start, stop = 0, batch.rows
        while self._joins and stop - start > 1:
            middle = (start + stop) // 2
            try:
                self._model.predict(batch.part(start, middle))
                start = middle
            except Exception as exc:  # noqa: BLE001  # the model's code may raise anything
                stop, raised = middle, exc
        where = f" on row {start}" if self._joins else ""
        LOG.info("the model failed%s", where, exc_info=raised)
        return ModelFailed(f"the model failed{where}: {_told(raised)}")


def _told(exc: Exception) -> str:
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text:.500}" if text else type(exc).__name__
