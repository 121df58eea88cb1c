"""Moves aliases: one merge patch on what was there, then a short look at what the gates say."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard_api.contract import MODELS

from trainyard_tracking.kube import KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry import failures
from trainyard_tracking.registry.caller import hand_for
from trainyard_tracking.registry.resources import Resources, slim
from trainyard_tracking.registry.stages import Change, find_stage, needs_approval
from trainyard_tracking.registry.writes import Writes

VERDICT_SECONDS = 3.0
_LOOK_EVERY = 0.1
_TRIES = 100
_MOST_WAITING = 6
_CONFLICT = 409


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
        self.change(model, lambda now: Change({alias: version}))

    def drop(self, model: Object, *aliases: str) -> None:
        """Remove aliases; one that is not there is no error."""
        self.change(model, lambda now: Change(dict.fromkeys(aliases)))

    def change(self, model: Object, decide: Callable[[Object], Change]) -> None:
        """Change aliases and notes of a Model in one write, as its present state asks for.

        Raises:
            MlflowException: as `move` does.
        """
        wanted = decide(seen := self._live(model))
        for _ in range(_TRIES):
            body = self._patch(seen, wanted)
            if not body:
                return
            try:
                changed = self.writes.merge(self.resources.models, seen, body)
            except KubeError as exc:
                if exc.status != _CONFLICT:
                    raise failures.from_kube(exc) from exc
            else:
                self._ask_verdicts(changed, wanted)
                return
            # Something was written meanwhile: mostly it has nothing to do with these aliases.
            self.writes.pause()
            now = self._live(model)
            for alias, version in wanted.aliases.items():
                if _wanted(now, alias) not in {_wanted(seen, alias), version}:
                    raise failures.moved_meanwhile(alias, _wanted(now, alias))
            wanted = decide(seen := now)
        raise failures.not_yet(f"Others keep writing the model {model['metadata']['name']}")

    def _patch(self, model: Object, change: Change) -> Object:
        """Say a change as a merge patch, bound to what was seen if it takes something away."""
        aliases = {
            alias: version
            for alias, version in change.aliases.items()
            if version is not None or _wanted(model, alias) is not None
        }
        if not aliases and not change.notes:
            return {}
        mover = hand_for(model["metadata"]["namespace"]).name
        names = [alias for alias in aliases if needs_approval(find_stage(model, alias))]
        promoters = {"promoters": dict.fromkeys(names, mover)} if names else {}
        body: Object = {"spec": {"aliases": aliases, **promoters}} if aliases else {}
        metadata: Object = {"annotations": dict(change.notes)} if change.notes else {}
        # What is not there yet is the last one's, as in MLflow: to bind that to the resource's
        # version as well, each of many first aliases would have to wait for all the others.
        if any(_wanted(model, alias) is not None for alias in aliases):
            metadata["resourceVersion"] = model["metadata"]["resourceVersion"]
        return {**body, **({"metadata": metadata} if metadata else {})}

    def _live(self, model: Object) -> Object:
        metadata = model["metadata"]
        path = resource_path(MODELS, metadata["namespace"], metadata["name"])
        try:
            found = self.resources.kube.get(path)
        except (KubeDown, KubeError) as exc:
            raise failures.from_kube(exc) from exc
        self.resources.models.put(found)
        return slim(found)

    def _ask_verdicts(self, model: Object, change: Change) -> None:
        for alias, version in change.aliases.items():
            if version is not None and find_stage(model, alias) is not None:
                self._ask_verdict(model, alias, version)

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
