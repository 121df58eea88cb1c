"""One process: settings, log, clients, the lease, caches, workers; then kopf watches.

    standby: waits for the lease, ready to take over ─▶ leads: loads caches, works, watches
    SIGTERM: workers drain, the lease is given up
    lease lost, or a background task or watch ended: exit 1 at once

Order matters: the lease is kept from the moment it is taken, nothing may be decided before the
caches are full, and nothing after the lease is lost.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Sequence
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import uvloop
from trainyard_api import authority
from trainyard_api.contract import TRACKING_ANNOTATION

from trainyard_operator.engine import connections, journal, probes, sweep, watch
from trainyard_operator.engine.access import Access, find_access
from trainyard_operator.engine.background import Background, Die, die
from trainyard_operator.engine.cache import Cache
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.cluster_world import ClusterWorld
from trainyard_operator.engine.connections import Connections
from trainyard_operator.engine.informer import Informer
from trainyard_operator.engine.kind import indexes_of
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.lease import Lease
from trainyard_operator.engine.objects import MANY, OWN_RESOURCES, PODS, SELECTOR, WATCHED_BY_KOPF
from trainyard_operator.engine.reconcile import Reconciler
from trainyard_operator.engine.recorder import Recorder
from trainyard_operator.engine.shell import WATCHED, Shell
from trainyard_operator.engine.world import Key
from trainyard_operator.kinds import KINDS
from trainyard_operator.logs.keeper import LogKeeper
from trainyard_operator.metrics import LEADER
from trainyard_operator.names import RUNS
from trainyard_operator.runs.effects import FollowLog
from trainyard_operator.runs.liveness import has_stopped, is_given_up
from trainyard_operator.runs.orphans import kill_orphans
from trainyard_operator.settings import Settings, from_environment
from trainyard_operator.tools import Tools
from trainyard_operator.tracking import TrackingClient

DRAIN_SECONDS = 20.0
RENEWED_EVERY = 10.0
_FLUSH_SECONDS = 2.0
_log = logging.getLogger("trainyard_operator")


class Operator:
    """The parts of one process, wired."""

    def __init__(
        self, settings: Settings, access: Access, opened: Connections, *, die: Die = die
    ) -> None:
        self.settings = settings
        self.access = access
        self.lease = Lease(
            Kube(access, opened.lease, opened.streams),
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            # Whoever may see the Lease is told: `trainyard doctor` is.
            notes=lambda: {TRACKING_ANNOTATION: self.tracking.state},
        )
        self.clock = ServerClock()
        self.kube = Kube(
            access,
            opened.api,
            opened.streams,
            time_to_write=self.lease.time_to_write,
            clock=self.clock,
        )
        self.tracking = TrackingClient(
            opened.tracking,
            url=settings.tracking_url,
            token_file=settings.tracking_token_file,
            ca_file=settings.tracking_ca_file,
        )
        self.world = ClusterWorld(new_cache(), self.kube, self.tracking, self.clock)
        self.shell = Shell(KINDS, self.world)
        self.kube.on_written = self.shell.written
        self.logs = LogKeeper(
            self.kube, self.tracking, is_over=self._is_over, on_complete=self._log_complete
        )
        self.recorder = Recorder(self.kube, identity=settings.identity)
        self.reconciler = Reconciler(
            kinds=KINDS,
            world=self.world,
            kube=self.kube,
            recorder=self.recorder,
            tools=Tools(self.kube, self.world, self.tracking, self.logs),
            settings=settings,
            now=self.clock,
        )
        self.background = Background(die)
        self._die = die
        self._drained = False
        self.is_standby = True
        self.is_loaded = False

    def is_ready(self) -> bool:
        """Tell whether it works, or waits to."""
        return self.is_standby or self.is_loaded

    def is_healthy(self) -> bool:
        """Tell whether it does all that it should. A stalled event loop does not answer."""
        if self.is_standby:
            return self.lease.is_tried()
        return self.background.is_alive() and (self._drained or self.lease.is_kept())

    async def lead(self, stop: asyncio.Event) -> None:
        """Load, work and watch until told to stop; anything else ends the process."""
        self.is_standby = False
        LEADER.labels(self.settings.lease_name).set(1)
        self.background.start("lease", self.lease.keep())
        try:
            await self._load_and_watch(stop)
        except Exception as exc:  # noqa: BLE001  # whatever it is, this process must not lead on
            self._die("loading or watching failed", exc)
            return
        if not stop.is_set():
            self._die("the watches ended", None)
        await self.background.stop()

    async def _load_and_watch(self, stop: asyncio.Event) -> None:
        namespaces = self.settings.watch_namespaces
        self.shell.is_loading = True
        informers = [
            (resource, self._informer(resource, namespace))
            for resource in WATCHED
            for namespace in namespaces or ("",)
        ]
        if not await _loaded([each for _, each in informers], stop):
            await self._drain()
            return
        # What was just loaded lives long: the collector need not look at it again.
        gc.freeze()
        self.background.start("recorder", self.recorder.run())
        self.background.start("look at tracking", self.tracking.look_for_ever())
        self.background.start("sweep", sweep.sweep_for_ever(self._kill_orphans))
        await self.shell.start(self.reconciler, workers=self.settings.workers)
        for task in self.shell.tasks:
            self.background.watch_over(task)
        for resource, each in informers:
            following = each.follow(only_deletions=resource in WATCHED_BY_KOPF)
            self.background.start(f"informer of {resource}", following)
        self.is_loaded = True
        _log.info("leading", extra={"identity": self.settings.identity})
        await watch.watch(self.shell, self.access, self.settings, stop=stop, on_cleanup=self._drain)

    def _informer(self, resource: str, namespace: str) -> Informer:
        selector = "" if resource in OWN_RESOURCES else SELECTOR
        return Informer(self.kube, self.shell, resource, namespace, selector=selector)

    async def _drain(self) -> None:
        """Finish what is going on, and let another replica lead: kopf takes seconds to end."""
        self.background.expect_end()
        await self.shell.drain(patience=DRAIN_SECONDS)
        await self.logs.stop()
        await self.recorder.flush(patience=_FLUSH_SECONDS)
        await self.background.stop()
        self._drained = True
        await self.lease.release()

    async def _kill_orphans(self) -> None:
        await kill_orphans(
            self.world.cache,
            self.kube,
            self.tracking,
            self.logs,
            self.settings.watch_namespaces,
        )

    def _is_over(self, call: FollowLog) -> bool:
        pod = self.world.get(PODS, call.namespace, call.pod)
        same = pod is not None and pod["metadata"]["uid"] == call.pod_uid
        if pod is None or not same:
            return True
        return has_stopped(pod) or is_given_up(pod, now=self.clock())

    def _log_complete(self, call: FollowLog) -> None:
        self.shell.queues[RUNS].add(Key(RUNS, call.namespace, call.run))


async def _loaded(informers: Sequence[Informer], stop: asyncio.Event) -> bool:
    """List everything; tell whether that was done before the word to stop came."""

    async def load() -> None:
        for each in informers:
            await each.load_surely()

    loading, stopped = asyncio.create_task(load()), asyncio.create_task(stop.wait())
    await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
    is_done = loading.done()
    for task in (loading, stopped):
        task.cancel()
    if is_done:
        await loading
    return is_done


def new_cache() -> Cache:
    """Return a cache that finds things as the kinds ask for them."""
    whole = [kind.resource for kind in KINDS.values() if kind.keeps_managers]
    return Cache(indexes_of(KINDS), packed=MANY, whole=whole)


async def run(settings: Settings) -> None:
    """Run until SIGTERM."""
    access = find_access()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with connections.connect(access, settings.tracking_url, settings.tracking_ca) as opened:
        operator = Operator(settings, access, opened)
        app = probes.application(is_healthy=operator.is_healthy, is_ready=operator.is_ready)
        runner = await probes.serve(app, port=settings.http_port)
        waiting = asyncio.create_task(operator.lease.acquire())
        stopped = asyncio.create_task(stop.wait())
        renewing = asyncio.create_task(stop_when_renewed(settings, stop))
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            await waiting
            await operator.lead(stop)
        for task in (waiting, stopped, renewing):
            task.cancel()
        await runner.cleanup()


async def stop_when_renewed(settings: Settings, stop: asyncio.Event) -> None:
    """End this process in good order once its authority's file has another: the next one reads it.

    What it makes has a copy of the authority, so all of it must be looked at again, as at a start.
    """
    path = settings.tracking_ca_file
    while path and not stop.is_set():
        await asyncio.sleep(RENEWED_EVERY)
        with contextlib.suppress(ValueError):  # in the middle of a write
            if authority.read(path) != settings.tracking_ca:
                _log.warning("another authority is in %s: ending, to start with it", path)
                stop.set()


def take_all_files() -> None:
    """Have as many files open as the system grants: logs have one each, and more on disk.

    Container runtimes grant 1,024 to those who do not ask.
    """
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            setrlimit(RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Run the operator."""
    settings = from_environment()
    take_all_files()
    journal.configure(level=settings.log_level, style=settings.log_format)
    # Fewer young collections than by default; the old ones still come every five million objects.
    gc.set_threshold(25_000, 20, 10)
    _log.info("starting", extra=_described(settings))
    uvloop.run(run(settings))


def _described(settings: Settings) -> dict[str, Any]:
    return {
        "tracking": settings.tracking_url,
        "runtimes": sorted(settings.runtimes),
        "namespaces": list(settings.watch_namespaces) or "all",
    }
