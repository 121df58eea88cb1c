"""`trainyard proxy`: the tracking service on a port of this machine."""

from typing import Annotated

import typer

from trainyard.cli.options import Context, Namespace, client_for
from trainyard.cli.terminal import note


def proxy(
    port: Annotated[
        int, typer.Option(help="Port of this machine; 0 takes a free one.", min=0)
    ] = 5000,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Open MLflow's UI and API on this machine, with your login added.

    Browsers and unmodified MLflow clients need nothing but the address. The
    namespace is the MLflow workspace. Ctrl-C closes it.

    \b
    Example:
      trainyard proxy
      export MLFLOW_TRACKING_URI=http://127.0.0.1:5000    # in another terminal
      python train.py
    """
    from trainyard._proxy import TrackingProxy  # noqa: PLC0415  # not for --help

    client = client_for(namespace, context)
    with TrackingProxy(client.tracking, port=port, namespace=client.namespace) as server:
        client.tracking.healthy()
        note(
            f"MLflow of namespace {client.namespace} is at {server.url} until Ctrl-C", style="bold"
        )
        print(f"export MLFLOW_TRACKING_URI={server.url}", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            note("Closed")
