"""MLflow runs whose Run is gone. Runs have no finalizer, so nothing else would tell.

The leader looks for them now and then, and finishes them as KILLED. That archives what there is
of their logs, so a log that is still on its way is waited for, and its tail goes with it.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from trainyard_operator import names
from trainyard_operator.engine.cache import Cache
from trainyard_operator.engine.errors import NotFound, OperatorError, Unavailable
from trainyard_operator.engine.kube import Kube
from trainyard_operator.names import RUNS
from trainyard_operator.tools import Logs
from trainyard_operator.tracking import TrackingClient

_log = logging.getLogger(__name__)


async def kill_orphans(
    cache: Cache, kube: Kube, tracking: TrackingClient, logs: Logs, namespaces: Iterable[str]
) -> None:
    """Finish the MLflow runs whose Run is gone."""
    for namespace in tuple(namespaces) or await _all_namespaces(kube):
        try:
            records = await tracking.active_runs(namespace)
        except NotFound:
            continue  # it was deleted meanwhile; the next ones have their turn
        for run_id in _orphaned(cache, namespace, {str(each["runID"]) for each in records}):
            if not logs.is_following(run_id):
                await _kill(tracking, logs, namespace, run_id)


def _orphaned(cache: Cache, namespace: str, recorded: set[str]) -> Iterable[str]:
    """Return the MLflow runs that no Run of the namespace has.

    A Run that was made meanwhile is in the cache before it is recorded.
    """
    uids = {uid.replace("-", "") for uid, _ in cache.versions(RUNS, namespace).values()}
    left = recorded - uids
    # A restored Run has another UID than its record, and its status says which that is.
    return sorted(left - {names.run_id(run) for run in cache.list(RUNS, namespace)} if left else ())


async def _all_namespaces(kube: Kube) -> tuple[str, ...]:
    return tuple([each["metadata"]["name"] async for each in kube.list("v1", "Namespace")])


async def _kill(tracking: TrackingClient, logs: Logs, namespace: str, run_id: str) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    body = {"status": "KILLED", "endTime": now, "parameters": {}, "logs": logs.tails(run_id)}
    try:
        await tracking.finish_run(namespace, run_id, body)
    except Unavailable:
        logs.append_tails(run_id)
        raise
    except NotFound:
        # Somebody deleted it for good. There is nothing to finish, but others to look at.
        pass
    except OperatorError as exc:
        if logs.append_tails(run_id):
            return  # closed at the next look
        _log.warning("an MLflow run without its Run is not closed: %s", exc.message)
    else:
        _log.info("an MLflow run without its Run was closed", extra={"run_id": run_id})
    logs.forget(run_id)
