"""An unmodified script: it fails at first, and then goes on from its own checkpoint."""

import os
import sys
import time

import mlflow

attempt = int(os.environ["TRAINYARD_ATTEMPT"])
previous = os.environ.get("TRAINYARD_PREVIOUS_RUN_ID")
with mlflow.start_run():
    mlflow.log_param("begun", time.time())
    reached = 0
    if previous:
        reached = int(mlflow.artifacts.load_text(f"runs:/{previous}/checkpoint.txt"))
    for step in range(reached, reached + 3):
        mlflow.log_metric("score", attempt * 100 + step, step=step)
    mlflow.log_text(str(reached + 3), "checkpoint.txt")
    mlflow.set_tag("ended", "no" if attempt == 1 else "yes")
    if attempt == 1:
        sys.exit("the first time it fails")
