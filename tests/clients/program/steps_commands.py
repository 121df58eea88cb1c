"""The `mlflow` command, in this process: what it prints and whether it exits with 0."""

import json
from pathlib import Path

from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli
from stepping import Seen, step


def said(*words: str) -> str:
    """Run the command; give what it printed.

    Raises:
        Exception: what the command raised, or that it exited with another number than 0.
    """
    result = CliRunner().invoke(cli, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, f"mlflow {' '.join(words)}: {result.output}"
    return str(result.output)


@step("mlflow experiments search, csv")
def experiments(seen: Seen) -> None:
    assert seen.name in said("experiments", "search")
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    assert seen.run_id in said("experiments", "csv", "--experiment-id", number)


@step("mlflow runs list, describe")
def runs(seen: Seen) -> None:
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    assert seen.run_id in said("runs", "list", "--experiment-id", number)
    described = json.loads(said("runs", "describe", "--run-id", seen.run_id))
    assert described["data"]["params"]["depth"] == "3"


@step("mlflow artifacts log-artifact, list, download")
def artifacts(seen: Seen) -> None:
    sent = seen.folder / "sent.txt"
    sent.write_text("sent")
    run = ("--run-id", seen.run_id)
    said("artifacts", "log-artifact", "--local-file", str(sent), "--artifact-path", "cli", *run)
    assert "cli/sent.txt" in said("artifacts", "list", "--artifact-path", "cli", *run)
    where = said("artifacts", "download", "--artifact-path", "cli/sent.txt", *run)
    assert Path(where.strip().splitlines()[-1]).read_text() == "sent"


@step("mlflow models predict -m models:/")
def predict(seen: Seen) -> None:
    rows, answer = seen.folder / "rows.json", seen.folder / "answer.json"
    rows.write_text(json.dumps({"dataframe_split": {"columns": ["x"], "data": [[0.0], [3.0]]}}))
    where = ("-i", str(rows), "-o", str(answer), "--env-manager", "local")
    said("models", "predict", "-m", f"models:/{seen.name}@live", *where)
    assert json.loads(answer.read_text()) == {"predictions": [0, 1]}
