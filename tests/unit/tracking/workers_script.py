"""An ordinary program of several processes, run by a test as the code of a Run: nothing is ours."""

import multiprocessing
import sys

import mlflow

WORKERS = 3
forked = multiprocessing.get_context("fork")
barrier = forked.Barrier(WORKERS)


def work(number: int) -> str:
    """Start a run at the same moment as the others, and log what they log with another value."""
    barrier.wait()
    with mlflow.start_run() as run:
        mlflow.log_param("worker", number)
        mlflow.log_metric("score", number)
    return run.info.run_id


with forked.Pool(WORKERS) as pool:
    runs = pool.map(work, range(WORKERS), chunksize=1)
sys.stdout.write(f"RESULT {runs}\n")
