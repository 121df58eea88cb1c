"""What no single resource's reconciliation sees: things left behind. The leader's, now and then.

* An MLflow run that is active though its Run resource is gone is finished as KILLED: Runs have
  no finalizer, so nothing else would tell.
* A cached object that is gone from the cluster is dropped: a watch that had to start anew does
  not report what was deleted meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

from trainyard_operator import names
from trainyard_operator.errors import OperatorError
from trainyard_operator.kube import Kube
from trainyard_operator.plan import Object, Ref
from trainyard_operator.shell import WATCHED, Shell
from trainyard_operator.tracking_client import TrackingClient
from trainyard_operator.world import RUNS

EVERY = timedelta(minutes=5)
_MANAGED = ",".join(f"{key}={value}" for key, value in names.MANAGED_BY.items())
_KINDS = {plural: kind for kind, plural in names.PLURALS.items()}
_log = logging.getLogger(__name__)


async def load(shell: Shell, kube: Kube, namespaces: Iterable[str]) -> None:
    """Fill the caches, before anybody decides anything by them."""
    for resource in WATCHED:
        async for each in _listed(kube, resource, namespaces):
            shell.world.cache.remember(resource, each)


async def sweep_for_ever(
    shell: Shell, kube: Kube, tracking: TrackingClient, namespaces: Iterable[str]
) -> None:
    """Sweep at the start and then every few minutes."""
    watched = tuple(namespaces)
    while True:
        try:
            await drop_vanished(shell, kube, watched)
            await kill_orphans(shell, kube, tracking, watched)
        except OperatorError as exc:
            _log.info("sweep put off: %s", exc.message)
        await asyncio.sleep(EVERY.total_seconds())


async def drop_vanished(shell: Shell, kube: Kube, namespaces: Iterable[str]) -> None:
    """Compare the caches with the cluster, and drop what is there no more."""
    for resource in WATCHED:
        known = {each["metadata"]["uid"]: each for each in shell.world.cache.all(resource)}
        async for each in _listed(kube, resource, namespaces):
            known.pop(each["metadata"]["uid"], None)
        for gone in known.values():
            # One made since the list was read is not gone: ask for it by name.
            if not await _is_there(kube, resource, gone):
                shell.seen(resource, gone, deleted=True)


async def kill_orphans(
    shell: Shell, kube: Kube, tracking: TrackingClient, namespaces: Iterable[str]
) -> None:
    """Finish the MLflow runs whose Run is gone."""
    for namespace in tuple(namespaces) or await _all_namespaces(kube):
        records = await tracking.active_runs(namespace)
        # After the list: a Run that was made meanwhile is in the cache before it is recorded.
        alive = {names.run_id(run) for run in shell.world.cache.all(RUNS)}
        for record in records:
            if str(record["runID"]) not in alive:
                await _kill(tracking, namespace, str(record["runID"]))


async def _all_namespaces(kube: Kube) -> tuple[str, ...]:
    return tuple([each["metadata"]["name"] async for each in kube.list("v1", "Namespace")])


async def _kill(tracking: TrackingClient, namespace: str, run_id: str) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    body = {"status": "KILLED", "endTime": now, "parameters": {}}
    await tracking.finish_run(namespace, run_id, body)
    _log.info("an MLflow run without its Run was closed", extra={"run_id": run_id})


async def _is_there(kube: Kube, resource: str, gone: Object) -> bool:
    api_version, kind = _KINDS[resource]
    meta = gone["metadata"]
    found = await kube.read(Ref(api_version, kind, meta["namespace"], meta["name"]))
    return found is not None and found["metadata"]["uid"] == meta["uid"]


async def _listed(kube: Kube, resource: str, namespaces: Iterable[str]) -> AsyncIterator[Object]:
    api_version, kind = _KINDS[resource]
    owned = {} if resource in names.OWN_RESOURCES else {"labelSelector": _MANAGED}
    for namespace in tuple(namespaces) or ("",):
        async for each in kube.list(api_version, kind, namespace, **owned):
            yield each
