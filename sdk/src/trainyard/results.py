"""Read the results of runs from MLflow, to compare them."""

from collections.abc import Iterator
from urllib.parse import quote

from trainyard_api.attempts import ATTEMPT_OF_TAG
from trainyard_api.run import Run

from trainyard.client import Client
from trainyard.comparing import Comparison, Result, line_up, result_of
from trainyard.errors import InvalidInput
from trainyard.session import client_or_default

_RUN_ID = 32


def compare(
    *runs: Run | str,
    experiment: str = "",
    last: int = 10,
    client: Client | None = None,
) -> Comparison:
    """Line up runs: the parameters that differ, the metrics, and which is best.

    Args:
        runs: Runs, or their names (NAMESPACE/NAME of another namespace), or MLflow run ids.
        experiment: in place of them, the newest runs of this MLflow experiment.
        last: how many of the newest.

    Raises:
        InvalidInput: neither or both are given, or a Run is not recorded yet.
        NotFound: there is no such Run or experiment.

    Example:
        >>> ty.compare("digits-shallow", "digits-deep")  # doctest: +SKIP
        >>> ty.compare(experiment="digits").plot()       # doctest: +SKIP
    """
    if bool(runs) == bool(experiment):
        raise InvalidInput(
            "Compare what?", fix="Name two Runs or more, or an experiment with -e EXPERIMENT"
        )
    client = client_or_default(client)
    if experiment:
        return line_up(_of_experiment(client, experiment, last))
    return line_up(_result(client, run) for run in runs)


def _result(client: Client, run: Run | str) -> Result:
    if isinstance(run, str) and _is_run_id(run):
        return _read(client, client.namespace, run, shown="")
    if isinstance(run, Run):
        shown, namespace, name = run.metadata.name, run.metadata.namespace, run.metadata.name
    else:
        shown, (namespace, _, name) = run, run.rpartition("/")
    namespace = namespace or client.namespace
    run_id = client.get(Run, name, namespace=namespace).status.run_id
    if not run_id:
        raise InvalidInput(
            f"Run {shown} is not recorded yet",
            fix="`trainyard describe run"
            f" {name}{client.command_options(namespace)}` says what it waits for",
        )
    return _read(client, namespace, run_id, shown=shown)


def _read(client: Client, namespace: str, run_id: str, *, shown: str) -> Result:
    answer = client.tracking.mlflow(
        f"runs/get?run_id={run_id}", namespace=namespace, what=f"read run {shown or run_id}"
    )
    return result_of(answer["run"], name=shown)


def _of_experiment(client: Client, name: str, last: int) -> Iterator[Result]:
    found = client.tracking.mlflow(
        f"experiments/get-by-name?experiment_name={quote(name, safe='')}",
        namespace=client.namespace,
        what=f"find experiment {name}",
    )
    answer = client.tracking.mlflow(
        "runs/search",
        namespace=client.namespace,
        what=f"list the runs of experiment {name}",
        body={
            "experiment_ids": [found["experiment"]["experiment_id"]],
            # Of a Run that tried again, the attempt that counts.
            "filter": f"tags.`{ATTEMPT_OF_TAG}` IS NULL",
            "max_results": last,
            "order_by": ["attributes.start_time DESC"],
        },
    )
    return (result_of(run) for run in answer.get("runs") or [])


def _is_run_id(name: str) -> bool:
    return len(name) == _RUN_ID and all(letter in "0123456789abcdef" for letter in name)
