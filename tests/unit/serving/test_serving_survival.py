"""Whatever a model raises, and however long it takes: its server answers the next request."""

import asyncio
import sys
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import pytest
import uvloop
from builders.serving import Doubling, answer, asked, numbers, routes
from trainyard_serving import runtimes
from trainyard_serving.dataplane import Dataplane
from trainyard_serving.errors import Abandoned, BadOutput, LoadError, ModelFailed, Overloaded
from trainyard_serving.metrics import Metrics
from trainyard_serving.pace import MEASURED_CALLS
from trainyard_serving.server import Server
from trainyard_serving.settings import Settings

GOOD = {"instances": [[21]]}


def plane(model: Any, **more: Any) -> Dataplane:
    return Dataplane(model, Metrics(), **more)


async def settled(model: Any, **more: Any) -> Dataplane:
    """A dataplane that knows the model to be quick, and calls it on the loop's thread."""
    dataplane = plane(model, **more)
    for _ in range(MEASURED_CALLS):
        dataplane._pace.called(0.0, 0.0)
    dataplane._pace.called(0.0, 0.0)
    return dataplane


class Panic(BaseException):
    """What the bindings of other languages raise."""


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Worse(BaseException):
    def __str__(self) -> str:
        raise Panic

    __repr__ = __str__


RAISED = [
    Panic("native code"),
    asyncio.CancelledError(),
    CancelledError(),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    UnspeakableError(),
    Worse(),
    MemoryError(),
    RecursionError(),
]


class Raising(Doubling):
    """Raises for 13, else doubles."""

    def __init__(self, raised: BaseException, **more: Any) -> None:
        super().__init__(**more)
        self.raised = raised
        self.threads: set[str] = set()

    def predict(self, batch: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        if 13.0 in batch.arrays["a"]:
            raise self.raised
        return super().predict(batch)


@pytest.mark.parametrize("raised", RAISED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("start", [plane, settled], ids=["in the thread", "inline"])
async def test_whatever_a_model_raises_fails_its_own_request_only(raised, start):
    dataplane = start(Raising(raised))
    dataplane = await dataplane if asyncio.iscoroutine(dataplane) else dataplane

    together = await asked(dataplane, numbers(1), numbers(2, 13), numbers(3))
    alone = await asked(dataplane, numbers(13))
    after = await asked(dataplane, numbers(4))

    assert [type(each) for each in (together[1], *alone)] == [ModelFailed, ModelFailed]
    assert type(raised).__name__ in str(together[1])
    assert [r.tolist() for r in (together[0], together[2], *after)] == [[2], [6], [8]]
    assert not dataplane.broken


@pytest.mark.parametrize("raised", [Panic("x"), SystemExit(3), Worse()], ids=type)
async def test_it_is_a_422_and_the_next_request_is_answered(raised):
    table = routes(model=Raising(raised))[0]

    bad = await answer(table, "/invocations", {"instances": [[13]]})
    good = await answer(table, "/invocations", GOOD)
    live = await answer(table, "/v2/health/live", method="GET")

    assert [bad.status, good.status, live.status] == [422, 200, 200]


@pytest.mark.parametrize("raised", [Panic("x"), SystemExit(3), Worse()], ids=type)
def test_warming_up_says_what_was_raised(raised):
    with pytest.raises(ModelFailed, match=type(raised).__name__):
        plane(Raising(raised)).warm_up(numbers(13))


class Odd:
    """A result with code of its own, which raises where it is written."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def to_frame(self) -> Any:
        raise self.raised


@pytest.mark.parametrize("raised", RAISED, ids=lambda each: type(each).__name__)
async def test_a_result_that_raises_while_it_is_written_is_an_answer_too(raised):
    table = routes(model=Doubling(result=Odd(raised), row_independent=False))[0]

    replies = [await answer(table, "/invocations", GOOD) for _ in range(MEASURED_CALLS + 2)]

    assert [reply.status for reply in replies] == [500] * len(replies)
    assert b"can't be written" in replies[-1].body


async def test_a_thread_that_fails_is_told_by_health_and_by_its_request(monkeypatch):
    table, served, _ = routes()
    dataplane = served.loaded.dataplane
    monkeypatch.setattr(dataplane, "_answers", lambda _: 1 / 0)

    reply = await answer(table, "/invocations", GOOD)
    live = await answer(table, "/v2/health/live", method="GET")
    ready = await answer(table, "/v2/health/ready", method="GET")
    monkeypatch.undo()
    healed = await answer(table, "/invocations", GOOD)
    after = await answer(table, "/v2/health/live", method="GET")

    assert [r.status for r in (reply, live, ready, healed, after)] == [503, 503, 503, 200, 200]
    assert b"ZeroDivisionError" in live.body


async def test_no_thread_to_predict_in_is_told_by_health():
    table, served, _ = routes()
    served.loaded.dataplane._thread.shutdown()

    reply = await answer(table, "/invocations", GOOD)
    live = await answer(table, "/v2/health/live", method="GET")

    assert [reply.status, live.status] == [503, 503]


class Async(Doubling):
    """Runs a loop of its own in each call, as clients of other services do."""

    def predict(self, batch: Any) -> Any:
        async def doubled() -> Any:
            await asyncio.sleep(0)
            return super(Async, self).predict(batch)

        return asyncio.run(doubled())


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_model_may_run_an_event_loop_of_its_own(loop):
    async def serve() -> None:
        for dataplane in (plane(Async()), await settled(Async())):
            results = [await asked(dataplane, numbers(i)) for i in range(5)]

            assert [r[0].tolist() for r in results] == [[2 * i] for i in range(5)]

    loop(serve())


async def test_a_model_that_needs_one_thread_of_its_own_gets_it():
    class Bound(Doubling):
        def predict(self, batch: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                raise RuntimeError("made in another thread")
            return super().predict(batch)

    model = Bound()
    dataplane = await settled(model)

    results = [await asked(dataplane, numbers(i), numbers(i)) for i in range(3)]

    assert [r[1].tolist() for r in results] == [[0], [2], [4]]
    assert not dataplane._pace.inline()


async def test_the_first_calls_are_made_beside_the_loop():
    model = Raising(Panic())
    dataplane = plane(model)

    for i in range(MEASURED_CALLS + 1):
        await asked(dataplane, numbers(i))

    assert all(name.startswith("predict") for name in model.threads)


async def test_one_bad_request_costs_the_others_few_calls():
    model = Doubling()
    dataplane = await settled(model)

    results = await asked(dataplane, *[numbers(-1 if i == 700 else i) for i in range(1000)])

    assert sum(isinstance(r, ModelFailed) for r in results) == 1
    assert len(model.calls) <= 2 + 2 * 10


async def test_what_fails_is_asked_again_beside_the_loop():
    model = Raising(Panic())
    dataplane = await settled(model)
    model.threads.clear()
    loop_thread = threading.current_thread().name

    await asked(dataplane, numbers(1), numbers(13))

    assert loop_thread in model.threads
    assert len(model.threads) == 2


async def test_an_answer_is_written_where_it_was_predicted():
    threads: list[str] = []

    def write(result: Any) -> Any:
        threads.append(threading.current_thread().name)
        return result

    dataplane = plane(Doubling())
    dataplane.submit(numbers(1), lambda *_: None, write=write)
    await asked(dataplane, numbers(2))

    assert all(name.startswith("predict") for name in threads)
    assert threads


class Held(Doubling):
    """Waits in predict until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.release = threading.Event(), threading.Event()

    def predict(self, batch: Any) -> Any:
        self.started.set()
        assert self.release.wait(10)
        return super().predict(batch)


async def test_probes_are_answered_while_the_first_call_takes_its_time():
    model = Held()
    table = routes(model=model)[0]
    first = asyncio.ensure_future(answer(table, "/invocations", GOOD))
    await asyncio.to_thread(model.started.wait, 10)

    live = await answer(table, "/v2/health/live", method="GET")
    waiting = not first.done()
    model.release.set()

    assert waiting
    assert live.status == 200
    assert (await first).status == 200


@dataclass
class Person:
    gone: bool = False


async def test_nobody_is_predicted_for_who_has_gone():
    model, person = Held(), Person()
    dataplane = plane(model)
    told: list[Any] = []
    first = asyncio.ensure_future(asked(dataplane, numbers(1)))
    await asyncio.to_thread(model.started.wait, 10)
    dataplane.submit(numbers(5), lambda *got: told.append(got), caller=person)
    last = asyncio.ensure_future(asked(dataplane, numbers(2)))
    await asyncio.sleep(0)
    person.gone = True
    model.release.set()
    await asyncio.gather(first, last)

    assert model.calls == [1, 1]
    assert [type(error) for _, error in told] == [Abandoned]


async def test_who_waited_longer_than_the_deadline_is_refused_and_not_predicted_for():
    model = Doubling()
    dataplane = plane(model, deadline=30)
    told: list[Any] = []
    dataplane.submit(numbers(1), lambda *got: told.append(got), since=perf_counter() - 31)

    (late,) = await asked(dataplane, numbers(2))

    assert late.tolist() == [4]
    assert model.calls == [1]
    assert [type(error) for _, error in told] == [Overloaded]


async def test_the_deadline_holds_while_the_model_is_busy():
    model = Held()
    dataplane = plane(model, deadline=30)
    told: list[Any] = []
    first = asyncio.ensure_future(asked(dataplane, numbers(1)))
    await asyncio.to_thread(model.started.wait, 10)
    dataplane.submit(numbers(5), lambda *got: told.append(got), since=perf_counter() - 31)
    dataplane.sweep()
    refused_meanwhile = len(told)
    model.release.set()
    await first

    assert refused_meanwhile == 1
    assert "within 30 s" in str(told[0][1])
    assert (await asked(dataplane, numbers(3)))[0].tolist() == [6]


async def test_what_can_not_be_written_is_not_the_models_refusal():
    def write(_: Any) -> Any:
        raise BadOutput("no form for it")

    metrics = Metrics()
    dataplane = Dataplane(Doubling(), metrics)
    dataplane.submit(numbers(1), lambda *_: None, write=write)
    await asked(dataplane, numbers(2))

    told = metrics.exposition("")[0].decode()
    assert "trainyard_predictions_total 1.0" in told
    assert "trainyard_prediction_failures_total 0.0" in told


async def test_a_model_that_ends_the_process_while_it_loads_leaves_a_reason(saved, monkeypatch):
    monkeypatch.setattr(runtimes, "load", lambda *_, **__: sys.exit("no licence"))
    server = Server(Settings(name="m", version="1", model_dir=saved, host="127.0.0.1", port=0))

    with pytest.raises(LoadError, match="SystemExit: no licence"):
        await server.load()


@pytest.mark.parametrize(
    ("deadline", "longest_call", "ready", "live"),
    [(30, 600, 200, 200), (0, 600, 503, 200), (0, 0, 503, 503), (30, 0, 503, 503)],
)
async def test_a_call_that_does_not_come_back_is_told_by_health(
    deadline, longest_call, ready, live
):
    model = Held()
    table, served, _ = routes(model=model)
    dataplane = plane(model, deadline=deadline, longest_call=longest_call)
    dataplane._deadline = 30.0  # the first one is not late
    served.loaded = replace(served.loaded, dataplane=dataplane)
    first = asyncio.ensure_future(asked(dataplane, numbers(1)))
    await asyncio.to_thread(model.started.wait, 10)
    second = asyncio.ensure_future(asked(dataplane, numbers(2)))
    await asyncio.sleep(0)
    dataplane._deadline = float(deadline)

    async def health() -> list[int]:
        dataplane.sweep()
        dataplane.sweep()  # nobody waits any more
        paths = ("/v2/health/ready", "/v2/health/live")
        return [(await answer(table, path, method="GET")).status for path in paths]

    stuck = await health()
    model.release.set()
    await asyncio.gather(first, second)

    assert stuck == [ready, live]
    assert await health() == [200, 200]
