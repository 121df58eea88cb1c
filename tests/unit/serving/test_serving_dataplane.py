"""Joining, cutting, blaming: what one request's rows may do to another's."""

import asyncio
import threading

import numpy as np
import pytest
from builders.serving import Doubling, asked, numbers
from trainyard_serving.batch import Batch
from trainyard_serving.dataplane import MAX_BATCH_ROWS, MAX_WAITING, Dataplane
from trainyard_serving.errors import ModelFailed, Overloaded
from trainyard_serving.metrics import Metrics


def plane(model, **more) -> Dataplane:
    return Dataplane(model, Metrics(), **more)


async def test_requests_of_one_turn_share_a_call():
    model = Doubling()

    results = await asked(plane(model), numbers(1, 2), numbers(3), numbers(4, 5, 6))

    assert model.calls == [6]
    assert [r.tolist() for r in results] == [[2, 4], [6], [8, 10, 12]]


async def test_a_bad_row_fails_only_its_own_request():
    results = await asked(plane(Doubling()), numbers(1), numbers(2, 3, -1, 4), numbers(5))

    assert results[0].tolist() == [2]
    assert results[2].tolist() == [10]
    assert isinstance(results[1], ModelFailed)
    assert "row 2" in str(results[1])
    assert "ValueError: negative" in str(results[1])


async def test_sixty_nine_of_seventy_survive_a_bad_one():
    batches = [numbers(-1.0 if i == 17 else i) for i in range(70)]

    results = await asked(plane(Doubling()), *batches)

    assert [i for i, r in enumerate(results) if isinstance(r, ModelFailed)] == [17]


async def test_requests_of_another_layout_are_not_joined():
    other = Batch({"a": np.array([1], dtype=np.int64)}, 1)
    with_params = Batch(numbers(9).arrays, 1, params={"k": 1})
    model = Doubling()

    await asked(plane(model), numbers(1), numbers(2), other, with_params)

    assert model.calls == [2, 1, 1]


@pytest.mark.parametrize(
    ("model", "row_wise"),
    [
        pytest.param(Doubling(row_independent=False), True, id="the rows of the model depend"),
        pytest.param(Doubling(), False, id="the signature fixes the first dimension"),
    ],
)
async def test_models_that_see_all_rows_get_each_request_alone(model, row_wise):
    await asked(plane(model, row_wise=row_wise), numbers(1), numbers(2, 3))

    assert model.calls == [1, 2]


async def test_a_result_that_does_not_follow_the_rows_ends_joining():
    model = Doubling(result=[7])
    dataplane = plane(model)

    first = await asked(dataplane, numbers(1, 2), numbers(3, 4))
    await asked(dataplane, numbers(1), numbers(2))

    assert first == [[7], [7]]
    assert model.calls == [4, 2, 2, 1, 1]


async def test_a_call_has_a_largest_size():
    model = Doubling()

    await asked(plane(model), *[numbers(*range(500)) for _ in range(4)])

    assert sorted(model.calls) == [1000, 1000]
    assert max(model.calls) <= MAX_BATCH_ROWS


async def test_an_expensive_model_runs_in_a_thread_and_joins_what_came_meanwhile():
    started, release = threading.Event(), threading.Event()

    class Slow(Doubling):
        threads: list[str] = []

        def predict(self, batch):
            self.threads.append(threading.current_thread().name)
            started.set()
            assert release.wait(10)
            return super().predict(batch)

    model = Slow()
    dataplane = plane(model)
    dataplane._cost = 1.0
    first = asyncio.ensure_future(asked(dataplane, numbers(1)))
    await asyncio.to_thread(started.wait, 10)
    rest = asyncio.ensure_future(asked(dataplane, numbers(2), numbers(3)))
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(first, rest)

    assert model.calls == [1, 2]
    assert all(name.startswith("predict") for name in model.threads)
    dataplane.close()


async def test_a_full_queue_refuses():
    dataplane = plane(Doubling())
    for _ in range(MAX_WAITING):
        dataplane.submit(numbers(1), lambda *_: None)

    with pytest.raises(Overloaded):
        dataplane.submit(numbers(1), lambda *_: None)


async def test_a_broken_receiver_does_not_stop_the_others():
    dataplane = plane(Doubling())

    def broken(*_):
        raise RuntimeError("gone")

    dataplane.submit(numbers(1), broken)
    (result,) = await asked(dataplane, numbers(2))

    assert result.tolist() == [4]


def test_warm_up_says_that_the_model_refuses_its_example():
    with pytest.raises(ModelFailed, match="input example"):
        plane(Doubling()).warm_up(numbers(-1))


@pytest.mark.parametrize("series", ['protocol="v2"', 'protocol="mlflow"'])
@pytest.mark.parametrize("code", [200, 400, 408, 413, 422, 431, 499, 500, 503])
def test_the_first_failure_of_a_kind_has_a_series_to_rise_from(series: str, code: int):
    told, _ = Metrics().exposition("")

    assert f'trainyard_requests_total{{code="{code}",{series}}} 0.0' in told.decode()
