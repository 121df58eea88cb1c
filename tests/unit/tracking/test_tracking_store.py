"""What Runs that work at once write at the same moment is all there."""

import threading
from typing import Any

import pytest
from builders.tracking import bearer

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
