"""Where a call is made: on the event loop's thread, or beside it, and in which thread then."""

import threading
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from builders.serving import asked, numbers
from mlflow.models import infer_signature
from trainyard_serving.pace import MEASURED_CALLS, STALL_SECONDS, Pace
from trainyard_serving.server import Server
from trainyard_serving.settings import Settings


@pytest.mark.parametrize(
    ("costs", "inline"),
    [
        pytest.param([], False, id="nothing is known"),
        pytest.param([9.0, 0.0001], False, id="too little is known"),
        pytest.param([9.0, 0.0001, 0.0001, 0.0001], True, id="the first call does not count"),
        pytest.param([9.0, 0.0001, 0.0001, 5.0], False, id="one of them was slow"),
        pytest.param([0.1] + [0.0001] * 50 + [5.0] + [0.0001] * 900, False, id="lately one was"),
        pytest.param([0.1, 5.0] + [0.0001] * 9000, True, id="long ago one was"),
    ],
)
def test_where_a_call_is_made_depends_on_the_slowest_of_late(costs, inline):
    pace = Pace()
    for cost in costs:
        pace.called(cost, cost)

    assert pace.inline() is inline


@pytest.mark.parametrize(("seconds", "inline"), [(0.1, True), (5.0, False)])
def test_waiting_for_a_processor_is_not_the_models_doing(seconds, inline):
    pace = Pace()
    for _ in range(MEASURED_CALLS + 1):
        pace.called(0.0001, 0.0001)
    pace.called(seconds, 0.0001)

    assert pace.inline() is inline


def test_a_model_that_was_slow_inline_is_tried_again_now_and_then():
    pace = Pace()
    for _ in range(MEASURED_CALLS + 1):
        pace.called(0.005, 0.005)
    pace.was_inline(STALL_SECONDS / 2)

    assert sum(pace.inline() for _ in range(640)) == 20


def test_one_call_that_the_machine_delayed_changes_nothing():
    pace = Pace()
    for _ in range(MEASURED_CALLS + 1):
        pace.called(0.0001, 0.0001)
    for cost in (0.0001, 0.019, 0.0001, 0.0001):
        pace.was_inline(cost)

        assert pace.inline()


class OneThread(mlflow.pyfunc.PythonModel):
    """Keeps what belongs to the thread that loaded it, as connections and settings do."""

    def load_context(self, context: Any) -> None:
        self.own = threading.local()
        self.own.factor = 2.0

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["a"].to_numpy() * getattr(self.own, "factor", 0.0)


@pytest.mark.filterwarnings("ignore")
async def test_a_model_predicts_in_the_thread_that_loaded_it(tmp_path):
    example = pd.DataFrame({"a": [1.0, 2.0]})
    mlflow.pyfunc.save_model(
        str(tmp_path / "m"),
        python_model=OneThread(),
        signature=infer_signature(example),
        input_example=example,
        pip_requirements=[],
    )
    server = Server(Settings(name="m", version="1", model_dir=tmp_path / "m", port=0))
    await server.load()
    dataplane = server.served.loaded.dataplane
    for _ in range(2 * MEASURED_CALLS):
        dataplane._pace.called(0.0, 0.0)  # cheap enough for the loop's thread

    results = [await asked(dataplane, numbers(21)) for _ in range(5)]

    assert [each.tolist() for (each,) in results] == [[42.0]] * 5
    server._close()
