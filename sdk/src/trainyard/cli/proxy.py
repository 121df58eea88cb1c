"""`trainyard proxy, ui`: the tracking service on a port of this machine."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completion import complete_page
from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.terminal import note

if TYPE_CHECKING:
    from trainyard._proxy import TrackingProxy
    from trainyard._tracking import Tracking
    from trainyard.client import Client

_PORT = 5000

Shared = Annotated[
    bool,
    typer.Option("--shared", help="Answer other users of this machine too, with your rights."),
]


def proxy(
    port: Annotated[
        int, typer.Option(help="Port of this machine; 0 takes a free one.", min=0, max=65535)
    ] = _PORT,
    *,
    shared: Shared = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Open MLflow's UI and API on this machine, with your login added.

    Browsers and unmodified MLflow clients need nothing but the address. The
    namespace is the MLflow workspace. Ctrl-C closes it. On Linux it answers
    your own user alone.

    \b
    Examples:
      trainyard proxy -n team-a --port 5001
      trainyard proxy
      export MLFLOW_TRACKING_URI=http://127.0.0.1:5000    # in another terminal
      python train.py
    """
    from trainyard._proxy import TrackingProxy  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    tracking = _for_clients(client)
    with TrackingProxy(tracking, port=port, namespace=client.namespace, shared=shared) as server:
        server.tracking.healthy()
        _warn_if_open(server)
        note(
            f"MLflow of namespace {client.namespace} is at {server.url} until Ctrl-C", style="bold"
        )
        print(f"export MLFLOW_TRACKING_URI={server.url}", flush=True)
        _until_interrupted(server)


def ui(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[RUN|MODEL|EXPERIMENT]",
            help="Whose page; run/NAME, model/NAME or experiment/NAME where several kinds have"
            " the name. Without it, the experiments of the namespace.",
            autocompletion=complete_page,
            show_default=False,
        ),
    ] = "",
    *,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open a browser, or only print the address.")
    ] = True,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of this machine; default: 5000, or a free one if that is taken.",
            min=0,
            max=65535,
        ),
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Open a page of MLflow's UI in the browser, with your login added.

    The address is of this machine and works until Ctrl-C: the command is the
    way to the cluster, as `kubectl port-forward` would be.

    \b
    Examples:
      trainyard ui
      trainyard ui digits-deep
      trainyard ui model/digits
      trainyard ui experiment/digits --no-open
    """
    from trainyard.links import page  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    path = page(client, target)
    with _listening(client, port) as server:
        server.tracking.healthy()
        print(f"{server.url}{path}", flush=True)
        _warn_if_open(server)
        note("Works until Ctrl-C", style="bold")
        if browser and _has_screen():
            _show(server.url + path)
        _until_interrupted(server)


def _listening(client: "Client", port: int | None) -> "TrackingProxy":
    from trainyard._proxy import TrackingProxy  # noqa: PLC0415  # not for --help
    from trainyard.errors import InvalidInput  # noqa: PLC0415

    first, tracking = _PORT if port is None else port, _for_clients(client)
    try:
        return TrackingProxy(tracking, port=first, namespace=client.namespace)
    except InvalidInput:
        if port is not None:
            raise
        return TrackingProxy(tracking, port=0, namespace=client.namespace)


def _for_clients(client: "Client") -> "Tracking":
    from trainyard._tracking import Tracking  # noqa: PLC0415  # not for --help

    return Tracking.of(client.kube, writes_registry=True)


def _warn_if_open(server: "TrackingProxy") -> None:
    if not server.is_private:
        note("Every user of this machine is served with your rights", style="yellow")


def _has_screen() -> bool:
    """Tell whether a browser would have a window: one in the terminal would take it over."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _show(url: str) -> None:
    import threading  # noqa: PLC0415  # only here
    import webbrowser  # noqa: PLC0415

    # Some browsers hold whoever starts them until they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _until_interrupted(server: "TrackingProxy") -> None:
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        note("Closed")
