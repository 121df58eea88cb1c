"""Moves aliases: one patch that tests what was there, then a short look at what the gates say."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard_api.contract import MODELS

from trainyard_tracking.kube import KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry import failures
from trainyard_tracking.registry.caller import hand_for
from trainyard_tracking.registry.resources import Resources, slim
from trainyard_tracking.registry.stages import find_stage
from trainyard_tracking.registry.writes import Writes, escape

VERDICT_SECONDS = 3.0
_LOOK_EVERY = 0.1
_TEST_FAILED = (409, 422)
_TRIES = 4
_MOST_WAITING = 6


@dataclass(frozen=True, slots=True)
class Pointers:
    """Moves aliases of Models."""

    resources: Resources
    writes: Writes
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    patience: float = VERDICT_SECONDS
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MOST_WAITING))

    def move(self, model: Object, alias: str, version: int) -> None:
        """Point an alias at a version, or say why it can't.

        Raises:
            MlflowException: somebody else moved it at the same time; a gate refused it; or the
                API server did.
        """
        mover = hand_for(model["metadata"]["namespace"]).name
        changed = self._patched(model, alias, lambda now: _moving(now, alias, version, mover))
        if changed is not None and find_stage(changed, alias) is not None:
            self._ask_verdict(changed, alias, version)

    def drop(self, model: Object, alias: str) -> None:
        """Remove an alias; one that is not there is no error."""
        self._patched(model, alias, lambda now: _dropping(now, alias))

    def _patched(
        self, model: Object, alias: str, operations: Callable[[Object], list[Object]]
    ) -> Object | None:
        """Patch what is there now; again if something else than the alias was changed meanwhile."""
        seen = self._live(model)
        for _ in range(_TRIES):
            wanted = operations(seen)
            if not wanted:
                return None
            try:
                return self.writes.patch(self.resources.models, seen, wanted)
            except KubeError as exc:
                if exc.status not in _TEST_FAILED:
                    raise failures.from_kube(exc) from exc
                refusal = exc
            now = self._live(model)
            if _wanted(now, alias) != _wanted(seen, alias):
                raise failures.moved_meanwhile(alias, _wanted(now, alias)) from refusal
            seen = now
        raise failures.from_kube(refusal) from refusal

    def _live(self, model: Object) -> Object:
        metadata = model["metadata"]
        path = resource_path(MODELS, metadata["namespace"], metadata["name"])
        try:
            found = self.resources.kube.get(path)
        except (KubeDown, KubeError) as exc:
            raise failures.from_kube(exc) from exc
        self.resources.models.put(found)
        return slim(found)

    def _ask_verdict(self, model: Object, alias: str, version: int) -> None:
        """Wait for the verdict, unless as many wait already as there are threads to spare."""
        if self.waiting.acquire(blocking=False):
            try:
                self._await_verdict(model, alias, version)
            finally:
                self.waiting.release()

    def _await_verdict(self, model: Object, alias: str, version: int) -> None:
        metadata = model["metadata"]
        until = self.clock() + self.patience
        while self.clock() < until:
            seen = self.resources.models.get(metadata["namespace"], metadata["name"]) or model
            held, message = _verdict(seen, alias, version, metadata.get("generation", 0))
            if message:
                raise failures.refused(
                    f"Version {version} may not be {alias} of {metadata['name']}: {message}"
                )
            if held:
                return
            self.sleep(_LOOK_EVERY)


def _moving(model: Object, alias: str, version: int, mover: str) -> list[Object]:
    aliases = model["spec"].get("aliases")
    path = f"/spec/aliases/{escape(alias)}"
    operations: list[Object] = []
    if aliases is not None and alias in aliases:
        operations.append({"op": "test", "path": path, "value": aliases[alias]})
    else:
        # There is no old value to test, so nothing else may have changed either.
        at = model["metadata"]["resourceVersion"]
        operations.append({"op": "test", "path": "/metadata/resourceVersion", "value": at})
    if aliases is None:
        operations.append({"op": "add", "path": "/spec/aliases", "value": {}})
    operations.append({"op": "add", "path": path, "value": version})
    stage = find_stage(model, alias)
    if stage is not None and stage.get("promotion", "approval") == "approval":
        operations.append({"op": "add", "path": "/spec/promotedBy", "value": mover})
    return operations


def _dropping(model: Object, alias: str) -> list[Object]:
    old = _wanted(model, alias)
    if old is None:
        return []
    path = f"/spec/aliases/{escape(alias)}"
    return [{"op": "test", "path": path, "value": old}, {"op": "remove", "path": path}]


def _wanted(model: Object, alias: str) -> int | None:
    wanted: dict[str, int] = model["spec"].get("aliases") or {}
    return wanted.get(alias)


def _verdict(model: Object, alias: str, version: int, generation: int) -> tuple[bool, str]:
    """Tell whether the stage holds the version, or why it was refused, since `generation`."""
    status = model.get("status") or {}
    if status.get("observedGeneration", 0) < generation:
        return False, ""
    stage: Object = next((one for one in status.get("stages") or () if one["name"] == alias), {})
    refusal = stage.get("refusal") or {}
    if stage.get("version") == version:
        return True, ""
    return False, refusal.get("message", "") if refusal.get("version") == version else ""
