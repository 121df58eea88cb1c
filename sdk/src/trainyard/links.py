"""Pages of MLflow's UI: which one a Run, a Model or an Experiment has. Knows no browser."""

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from trainyard_api.experiment import Experiment
from trainyard_api.meta import Resource
from trainyard_api.model import Model
from trainyard_api.names import mlflow_name
from trainyard_api.run import Run

from trainyard.client import Client
from trainyard.errors import InvalidInput, NotFound
from trainyard.kinds import kind_called


def page(client: Client, target: str = "") -> str:
    """Return the page of *target* in MLflow's UI, from `/` on; of the namespace if it is empty.

    The workspace stands behind the `#`: there the UI looks for it, and asks if it is missing.

    Args:
        target: the name of a Run, a Model or an Experiment, or `run/NAME` where several kinds
            have it.

    Raises:
        NotFound: there is none of this name.
        InvalidInput: several kinds have it, the kind has no page, or a Run has none yet.
    """
    return f"/#{_route(client, target)}?workspace={quote(client.namespace, safe='')}"


def _route(client: Client, target: str) -> str:
    if not target:
        return "/experiments"
    named, slash, name = target.partition("/")
    if slash:
        return _finder(named)(client, name)
    found = {}
    for kind, find in _FINDERS.items():
        with suppress(NotFound):
            found[kind.definition.singular] = find(client, target)
    if not found:
        raise NotFound(
            f"Namespace {client.namespace} has no Run, Model or Experiment {target!r}",
            fix=f"`trainyard status{client.command_options()}` shows what is there; -n names"
            " another namespace",
            status=404,
        )
    if len(found) > 1:
        raise InvalidInput(
            f"{target!r} is the name of several: {', '.join(found)}",
            fix=f"Say which, such as trainyard ui {next(iter(found))}/{target}"
            f"{client.command_options()}",
        )
    return next(iter(found.values()))


def _run(client: Client, name: str) -> str:
    status = client.get(Run, name).status
    if not (status.run_id and status.experiment_id):
        raise InvalidInput(
            f"Run {name} is not on record in MLflow yet",
            fix=f"`trainyard describe run {name}{client.command_options()}` says what it waits for",
        )
    return f"/experiments/{status.experiment_id}/runs/{status.run_id}"


def _model(client: Client, name: str) -> str:
    model = client.get(Model, name)
    return f"/models/{quote(mlflow_name(name, model.spec.name), safe='')}"


def _experiment(client: Client, name: str) -> str:
    """Ask MLflow, which has those too that only a Run names."""
    found = client.tracking.mlflow(
        f"experiments/get-by-name?experiment_name={quote(name, safe='')}",
        namespace=client.namespace,
        what=f"find experiment {name} in namespace {client.namespace}",
    )
    return f"/experiments/{found['experiment']['experiment_id']}"


_FINDERS: dict[type[Resource], Callable[[Client, str], str]] = {
    Run: _run,
    Model: _model,
    Experiment: _experiment,
}


def _finder(kind: str) -> Callable[[Client, str], str]:
    chosen = kind_called(kind)
    if chosen not in _FINDERS:
        raise InvalidInput(
            f"A {chosen.definition.singular} has no page in MLflow's UI",
            fix="Runs, Models and Experiments have: run/NAME, model/NAME, experiment/NAME",
        )
    return _FINDERS[chosen]
