"""What Runs that work at once write at the same moment is all there."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from builders.tracking import bearer
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

RUNS = [f"{number:032x}" for number in range(0xC0, 0xC6)]
ROUNDS = 12


@pytest.fixture
def tokens(world: Any) -> list[str]:
    return [world.record(run_id, f"at-once-{run_id[-2:]}") for run_id in RUNS]


def test_runs_that_log_the_same_data_set_at_once_all_have_it(world: Any, tokens: list[str]) -> None:
    together = threading.Barrier(len(RUNS))
    codes: list[int] = []

    def log(run_id: str, token: str) -> None:
        for number in range(ROUNDS):
            dataset = {
                "name": f"set-{number}",
                "digest": "1",
                "source_type": "code",
                "source": "{}",
            }
            body = {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": []}]}
            together.wait(60)
            answer = world.client.post(
                "/api/2.0/mlflow/runs/log-inputs", json=body, headers=bearer(token)
            )
            codes.append(answer.status_code)

    threads = [threading.Thread(target=log, args=each) for each in zip(RUNS, tokens, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [200] * (len(RUNS) * ROUNDS)


AT_ONCE = 60


def test_sixty_that_log_metrics_and_data_sets_at_once_all_have_them(world: Any) -> None:
    runs = [f"{number:032x}" for number in range(0xD000, 0xD000 + AT_ONCE)]
    tokens = [world.record(run_id, f"sixty-{run_id[-4:]}") for run_id in runs]
    together = threading.Barrier(AT_ONCE)

    def log(run_id: str, token: str) -> list[tuple[int, str]]:
        dataset = {"name": run_id, "digest": "1", "source_type": "code", "source": "{}"}
        metric = {"key": "loss", "value": 1.0, "timestamp": 1, "step": 0}
        batch = {
            "metrics": [{**metric, "step": step} for step in range(50)],
            "params": [{"key": "lr", "value": "1"}],
            "tags": [{"key": "k", "value": "v"}],
        }
        together.wait(60)
        with httpx.Client(base_url=world.url, timeout=90, headers=bearer(token)) as client:
            answers = [
                client.post(f"/api/2.0/mlflow/runs/{call}", json={"run_id": run_id, **body})
                for call, body in (
                    ("log-batch", batch),
                    ("log-inputs", {"datasets": [{"dataset": dataset, "tags": []}]}),
                )
            ]
        return [(one.status_code, one.text) for one in answers if one.status_code != 200]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [one for found in pool.map(log, runs, tokens) for one in found]

    assert failed == []


def test_a_database_without_a_free_connection_is_503_with_a_time_to_come_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.record(f"{0xD100:032x}", "no-connection")
    engine = handlers()._get_tracking_store().engine
    none_left = create_engine(
        engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    body = {"run_id": f"{0xD100:032x}", "key": "m", "value": 1, "timestamp": 1}
    with none_left.connect():
        monkeypatch.setattr(engine, "pool", none_left.pool)
        answer = world.client.post(
            "/api/2.0/mlflow/runs/log-metric", json=body, headers=bearer(token)
        )
        monkeypatch.undo()
    none_left.dispose()

    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "connection" in answer.json()["message"]


def test_a_regular_expression_of_a_caller_runs_nowhere(world: Any) -> None:
    store = handlers()._get_tracking_store()

    with pytest.raises(MlflowException), store.ManagedSessionMaker(read_only=True) as session:
        session.execute(text("SELECT 'aaaa' REGEXP '(a+)+b'"))


def handlers() -> Any:
    from mlflow.server import handlers as found  # noqa: PLC0415  # reads its environment

    return found
