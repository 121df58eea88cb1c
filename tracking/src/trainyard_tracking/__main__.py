"""Runs the tracking service in this process: `python -m trainyard_tracking`."""

import contextlib
import functools
import logging
import os
import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from trainyard_api.listening import everywhere

from trainyard_tracking.certificate import Shown
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.handshakes import Handshake
from trainyard_tracking.heads import BoundedProtocol
from trainyard_tracking.kube import HttpKube, KubeDown, KubeError, find_cluster, own_namespace
from trainyard_tracking.mlflow_env import mlflow_environment
from trainyard_tracking.opening import Opening
from trainyard_tracking.peers import Waiting
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.settings import KEEP_ALIVE, Settings, read_settings
from trainyard_tracking.tokens import read_public_key
from trainyard_tracking.watching import Watcher

_log = logging.getLogger("trainyard_tracking")
_GRACE_SECONDS = 20
_GONE, _TOO_MANY, _FAULT = 410, 429, 500


def main() -> int:
    """Run until told to stop; tell on the last line why, if it could not start."""
    try:
        settings = read_settings()
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        # Each review and each bucket request would be a line.
        for chatty in ("httpx", "botocore", "boto3", "urllib3"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        _serve(settings)
    except BadSettings as exc:
        print(f"trainyard-tracking can't start: {exc}", file=sys.stderr)  # noqa: T201  # no logs yet
        return 1
    return 0


def _serve(settings: Settings) -> None:
    os.environ.update(mlflow_environment(settings))
    # Only now: MLflow reads the variables while it is imported.
    from trainyard_tracking.server import Outside, compose  # noqa: PLC0415

    objects = S3Objects(settings.object_store)
    outside = Outside(
        kube=HttpKube(find_cluster()),
        objects=objects,
        key=read_public_key(settings.verify_cert_file),
        database_url=settings.database_url,
        spool=settings.spool_dir,
        namespace=own_namespace(),
        largest_file=settings.largest_file,
        query_seconds=settings.query_seconds,
    )
    service = compose(outside)
    for watcher in service.watchers:
        _fill(watcher)
        watcher.start()
    service.leftovers.start()
    service.indexes.start()
    service.statistics.start()
    Opening(objects.ensure_bucket, service.sweep).start()
    server = uvicorn.Server(configured(service.app, settings))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[opened(settings)])


def opened(settings: Settings) -> socket.socket:
    """Return where the service listens.

    Raises:
        BadSettings: It can't listen there; names the setting.
    """
    try:
        return everywhere(settings.port)
    except OSError as exc:
        raise BadSettings(
            f"TRAINYARD_PORT is {settings.port}, where nothing can listen: {exc.strerror}"
        ) from exc


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how the service is served: by TLS, if there is a certificate.

    Raises:
        BadSettings: The certificate can't be used; names the settings.
    """
    shown = Shown(settings.tls) if settings.tls else None
    config = uvicorn.Config(
        app,
        log_level=settings.log_level,
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE,
        ws="none",
        server_header=False,
        http=BoundedProtocol,
    )
    config.load()
    if shown:
        # Not `config.ssl`: uvicorn has neither a bound nor a time of ours for handshakes.
        first = functools.partial(Handshake, shown.listening(), Waiting())
        config.http_protocol_class = first  # type: ignore[assignment]
    return config


def _fill(watcher: Watcher) -> None:
    """Read the registry before the first request.

    A cluster that is away or has too much to do is waited for later: programs go on logging
    meanwhile, and who asks for the registry is told to ask again.
    """
    try:
        watcher.list_once()
    except KubeDown as exc:
        _log.warning("starting without %s: %s", watcher.cache.plural, exc)
    except KubeError as exc:
        if exc.status in {_TOO_MANY, _GONE} or exc.status >= _FAULT:
            _log.warning("starting without %s: %s", watcher.cache.plural, exc.message)
            return
        raise BadSettings(
            f"the Kubernetes API does not let us list {watcher.cache.plural}: {exc.message};"
            " is the chart's role there, and are the CRDs?"
        ) from exc


if __name__ == "__main__":
    sys.exit(main())
