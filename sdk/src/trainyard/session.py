"""The one client that verbs use where none is given."""

import threading
from typing import Any, overload

from trainyard_api.meta import Resource
from trainyard_api.run import Run

from trainyard.client import Client
from trainyard.kinds import R
from trainyard.settling import Verdict, judge

_lock = threading.Lock()
_default: list[Client] = []


def use(
    *, context: str | None = None, namespace: str | None = None, client: Client | None = None
) -> Client:
    """Choose the cluster and namespace of all verbs that are called without a client.

    Raises:
        InvalidInput: there is no usable kubeconfig or no such context.

    Example:
        >>> ty.use(namespace="vision")  # doctest: +SKIP
        >>> ty.run("training")          # doctest: +SKIP
    """
    chosen = client or Client(context=context, namespace=namespace)
    with _lock:
        _default[:] = [chosen]
    return chosen


def client_or_default(client: Client | None) -> Client:
    """Return *client*, else the one that `use` chose, else one of the current context."""
    if client is not None:
        return client
    with _lock:
        if not _default:
            _default.append(Client())
        return _default[0]


def run_of(client: Client, run: Run | str) -> Run:
    """Return the Run as it is now; a name is one of the client's namespace."""
    if isinstance(run, str):
        return client.get(Run, run)
    return client.get(Run, run.metadata.name, namespace=run.metadata.namespace or None)


@overload
def wait(
    resource: str, *, condition: str = ..., timeout: float | None = ..., client: Client | None = ...
) -> Run: ...
@overload
def wait(
    resource: R, *, condition: str = ..., timeout: float | None = ..., client: Client | None = ...
) -> R: ...
def wait(
    resource: Any,
    *,
    condition: str = "",
    timeout: float | None = None,
    client: Client | None = None,
) -> Any:
    """Wait until *resource* has come to an outcome, good or bad, and return it so.

    Args:
        resource: any resource, or the name of a Run.
        condition: wait for this condition to be true instead.
        timeout: seconds.

    Raises:
        TimedOut: not within *timeout*.
        NotFound: there is none, or it was deleted meanwhile.

    Example:
        >>> run = ty.wait(ty.run("examples/01-first-model"))  # doctest: +SKIP
    """
    client = client_or_default(client)
    found = run_of(client, resource) if isinstance(resource, str) else resource
    return client.wait(found, condition=condition, timeout=timeout)


def verdict(resource: Resource, condition: str = "") -> Verdict:
    """Tell where *resource* stands: settled or not, well or badly, and why."""
    return judge(resource, condition)
