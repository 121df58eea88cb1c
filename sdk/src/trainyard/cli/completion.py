"""What Tab offers; nothing at all, not even an error, where the cluster does not answer."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trainyard.client import Client

_PATIENCE_SECONDS = 3.0
"""For how long a shell may stand still at Tab."""


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Runs of the namespace."""
    return _offer(ctx, incomplete, lambda client: _names(client, "runs"))


def complete_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Models of the namespace."""
    return _offer(ctx, incomplete, lambda client: _names(client, "models"))


def complete_registered(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Models of the namespace, until an artifact's name follows."""
    return [] if ":" in incomplete else complete_model(ctx, incomplete)


def complete_experiment(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Experiments of the namespace."""
    return _offer(ctx, incomplete, lambda client: _names(client, "experiments"))


def complete_deployment(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the Deployments of the namespace."""
    return _offer(ctx, incomplete, lambda client: _names(client, "mdep"))


def complete_page(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer what has a page in MLflow's UI: names alone, or behind their kind as `run/NAME`."""
    kinds = ("run", "model", "experiment")

    def pages(client: "Client") -> list[str]:
        named, slash, _ = incomplete.partition("/")
        if slash:
            return [f"{named}/{name}" for name in _names(client, named)]
        return sorted({name for kind in kinds for name in _names(client, kind)})

    return _offer(ctx, incomplete, pages)


def complete_version(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the versions of the Model that was typed before, the newest first."""
    from trainyard_api.model_version import ModelVersion  # noqa: PLC0415  # only for Tab

    def versions(client: "Client") -> list[str]:
        found = [each.spec for each in client.list(ModelVersion)]
        numbers = [spec.version for spec in found if spec.model == _first(ctx, "model")]
        return [str(number) for number in sorted(numbers, reverse=True)]

    return _offer(ctx, incomplete, versions)


def complete_stage(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the stages and aliases of the Model that was typed before."""
    from trainyard_api.model import Model  # noqa: PLC0415  # only for Tab

    from trainyard.promotion import pointers  # noqa: PLC0415

    def stages(client: "Client") -> list[str]:
        return pointers(client.get(Model, _first(ctx, "model")))

    return _offer(ctx, incomplete, stages)


def complete_served(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the stages and aliases of all Models, as MODEL@STAGE."""
    from trainyard_api.model import Model  # noqa: PLC0415  # only for Tab

    from trainyard.promotion import pointers  # noqa: PLC0415

    def served(client: "Client") -> list[str]:
        return [f"{m.metadata.name}@{alias}" for m in client.list(Model) for alias in pointers(m)]

    return _offer(ctx, incomplete, served)


def complete_kind(incomplete: str) -> list[str]:
    """Offer the kinds."""
    kinds = ("runs", "experiments", "models", "modelversions", "modeldeployments")
    return [kind for kind in kinds if kind.startswith(incomplete)]


def complete_resource(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the kind that was typed before."""
    kind = _first(ctx, "kind") or "runs"
    return _offer(ctx, incomplete, lambda client: _names(client, kind))


def complete_namespace(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the namespaces, to who may list them."""

    def namespaces(client: "Client") -> list[str]:
        found = client.kube.request("GET", "/api/v1/namespaces", what="list the namespaces")
        return [item["metadata"]["name"] for item in found["items"]]

    return _offer(ctx, incomplete, namespaces)


def complete_context(incomplete: str) -> list[str]:
    """Offer the contexts of the kubeconfig."""
    from trainyard._kube import contexts  # noqa: PLC0415  # only for Tab

    return [name for name in contexts() if name.startswith(incomplete)]


def _first(ctx: typer.Context, name: str) -> str:
    """Return the first argument; while others are missing, none has its name yet."""
    return ctx.params.get(name) or next(iter(ctx.args), "")


def _names(client: "Client", kind: str) -> list[str]:
    from trainyard.kinds import kind_called  # noqa: PLC0415  # only for Tab

    found = client.list_objects(kind_called(kind), namespace=client.namespace)
    return [item["metadata"]["name"] for item in found]


def _offer(
    ctx: typer.Context, incomplete: str, find: Callable[["Client"], Iterable[str]]
) -> list[str]:
    from trainyard.client import Client  # noqa: PLC0415  # only for Tab
    from trainyard.errors import TrainyardError  # noqa: PLC0415

    given = ctx.params or {}
    with suppress(TrainyardError):
        client = Client(
            namespace=given.get("namespace") or None,
            context=given.get("context") or None,
            patience=0,
        )
        client.kube.http.timeout = _PATIENCE_SECONDS
        try:
            return [each for each in find(client) if each.startswith(incomplete)]
        finally:
            client.close()
    return []
