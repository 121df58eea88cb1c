"""The life of the process: listen, fetch, load, warm up, serve, drain, end.

    listening ─► fetching ─► loading ─► ready ──SIGTERM──► draining ─► closed (0)
                 │  ▲ down      │ can't be                    │ requests under way finish
                 └──┘ again     └─► reason written, exit 1    └ connections are asked to close

It listens from the start: alive is not ready, and a scrape shows what it waits for.
"""

import asyncio
import json
import logging
import resource
import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

from trainyard_api import serving as names
from trainyard_api.listening import everywhere

from trainyard_serving import runtimes
from trainyard_serving.dataplane import Dataplane, one_thread
from trainyard_serving.errors import LoadError, ServingError, SourceUnavailable, told
from trainyard_serving.fetch import Source, fetch
from trainyard_serving.metrics import Metrics
from trainyard_serving.protocols import mlflow
from trainyard_serving.served import Loaded, Served
from trainyard_serving.settings import Settings
from trainyard_serving.web.connection import Connection
from trainyard_serving.web.routes import Routes
from trainyard_serving.web.shared import Limits, Shared

LOG = logging.getLogger(__name__)
_TOLD_CHARACTERS: Final = 1000  # Kubernetes keeps 4096 bytes, and cut JSON is none
_OTHER_FILES: Final = 256  # the model's own, and connections beyond the limit, for probes
_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
_EVERYWHERE: Final = "every address"


class Server:
    """One process that serves one model."""

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        self._settings = settings
        self.metrics = Metrics()
        self.served = Served(settings.name, settings.version, settings.digest)
        routes = Routes(self.served, self.metrics)
        limits = limits or _limits(settings)
        self.shared = Shared(
            routes.route, limits, failed=lambda status: self.metrics.answered("other", status, 0.0)
        )
        self.metrics.watch(
            inflight=lambda: self.shared.inflight,
            connections=lambda: len(self.shared.connections),
        )
        self.metrics.serves(model=settings.name, version=settings.version, digest=settings.digest)
        self._thread = one_thread()
        self._stop = asyncio.Event()
        self.port = settings.port

    def stop(self) -> None:
        """Begin to drain; a second call ends at once."""
        if self._stop.is_set():
            raise SystemExit(1)
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped.

        Raises:
            LoadError: The model can't be served, or its port can't be had.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        listener = await self._listening(loop)
        self.port = listener.sockets[0].getsockname()[1]
        LOG.info("listening on %s, port %d", self._settings.host or _EVERYWHERE, self.port)
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._until_stopped()
            await self._drain(listener)
        finally:
            sweeper.cancel()
            listener.close()
            self._close()

    async def _listening(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        host, port = self._settings.host, self._settings.port
        try:
            where: dict[str, Any] = {"host": host, "port": port}
            return await loop.create_server(
                lambda: Connection(self.shared),
                backlog=1024,
                **(where if host else {"sock": everywhere(port)}),
            )
        except OSError as exc:
            raise LoadError(
                f"The server can't listen on {host or _EVERYWHERE}, port {port}: {told(exc)};"
                " choose another by --host and --port, or end what has it"
            ) from exc

    async def _until_stopped(self) -> None:
        """Load, then wait; a stop while loading does not wait for the load."""
        loading = asyncio.create_task(self.load())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            await stopped
        loading.cancel()

    async def load(self) -> None:
        """Fetch, load and warm up; the server is ready after that."""
        started = monotonic()
        folder = self._settings.model_dir or await self._fetched()
        self.served.waits_for = "the model is loading"
        loop = asyncio.get_running_loop()
        self.served.loaded = await loop.run_in_executor(self._thread, self._loaded, folder)
        self.metrics.loaded(monotonic() - started)
        self.metrics.ready(value=self.served.ready)
        LOG.info(
            "ready: model %s version %s after %.1f s",
            self.served.name,
            self.served.version,
            monotonic() - started,
        )

    async def _fetched(self) -> Path:
        """Fetch the model, however long its source is down."""
        settings = self._settings
        source = Source(settings.url, settings.digest, settings.token_file, settings.ca_file)
        attempt = 0
        while True:
            self.served.waits_for = "the model is being fetched"
            try:
                folder = await asyncio.to_thread(fetch, source, settings.store)
            except SourceUnavailable as exc:
                pause = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
                self.served.waits_for = f"waiting for the model: {exc}"
                # Should its time to start run out meanwhile, this is what the operator reads.
                told_once(settings.termination_log, exc, reason=names.SOURCE_UNAVAILABLE)
                LOG.warning("%s; asking again in %g s", exc, pause)
                attempt += 1
                await asyncio.sleep(pause)
                continue
            if attempt:
                _note(settings.termination_log, "")
            return folder

    def _loaded(self, folder: Path) -> Loaded:
        """Load and warm up, in the thread that predicts later."""
        try:
            model, signature, platform = runtimes.load(
                folder, allowed=self._settings.allowed_formats
            )
        except Exception:
            raise
        except BaseException as exc:  # a model that exits must not take the reason along
            raise LoadError(f"The model can't be loaded: {told(exc)}") from exc
        dataplane = Dataplane(
            model,
            self.metrics,
            row_wise=self._settings.batching and signature.joinable,
            deadline=self._settings.deadline_seconds,
            longest_call=self._settings.longest_call_seconds,
            thread=self._thread,
        )
        example = runtimes.example_request(folder)
        if example is not None:
            try:
                dataplane.warm_up(mlflow.read(example, "application/json", signature))
            except ServingError as exc:
                # Examples are saved by people; one that is wrong must not keep the model away.
                LOG.warning("not warmed up: %s", exc)
        return Loaded(dataplane, signature, platform)

    async def _drain(self, listener: asyncio.Server) -> None:
        """Become unready, go on serving while others learn of it, then finish."""
        self.served.draining = self.shared.draining = True
        self.metrics.ready(value=False)
        if self.served.loaded is not None:
            LOG.info("draining for %g s", self._settings.drain_seconds)
            await asyncio.sleep(self._settings.drain_seconds)
        listener.close()
        deadline = monotonic() + names.FINISH_SECONDS
        while self.shared.connections and monotonic() < deadline:
            self.shared.close_idle()
            await asyncio.sleep(0.02)
        LOG.info("drained; %d requests unanswered", self.shared.inflight)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self.shared.sweep(monotonic())
                if self.served.loaded is not None:
                    self.served.loaded.dataplane.sweep()
            except Exception:  # whoever is late is ended a second later
                LOG.exception("unexpected error in looking for what is late")

    def _close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self.served.loaded is not None:
            self.served.loaded.dataplane.close()


def _limits(settings: Settings) -> Limits:
    """Return the limits as set, and no more connections than the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    files = max(soft - _OTHER_FILES, 1) if soft != resource.RLIM_INFINITY else 1 << 20
    return Limits(
        body_bytes=settings.max_body_bytes,
        held_bytes=settings.held_bytes,
        connections=min(settings.max_connections, files),
    )


def told_once(path: Path, error: Exception, *, reason: str = "") -> None:
    """Write the reason where the operator reads it; nowhere to write is no further failure."""
    told = {"message": str(error).replace("\n", " ")[:_TOLD_CHARACTERS]}
    if reason:
        told["reason"] = reason
    _note(path, json.dumps(told, ensure_ascii=False))


def _note(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        LOG.debug("no termination log: %s", exc)
