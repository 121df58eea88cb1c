"""Writes Models and ModelVersions through to the API server, and into the cache at once.

A change is a merge patch that names what it changes and nothing else: it needs no look at what is
there, and takes nothing away that somebody else adds in the same moment.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from trainyard_api.contract import (
    API_VERSION,
    MODEL_LABEL,
    MODEL_VERSIONS,
    MODELS,
    RETIRE_FINALIZER,
    VERSIONS_FINALIZER,
)
from trainyard_api.names import model_version_name, next_version, other_name, resource_name

from trainyard_tracking.kube import KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry import failures
from trainyard_tracking.registry.annotations import Origin
from trainyard_tracking.registry.caller import hand_for
from trainyard_tracking.registry.limits import Made, require_fits, require_small
from trainyard_tracking.registry.resources import Resources, is_going, model_title
from trainyard_tracking.registry.times import CREATED, stamp
from trainyard_tracking.watching import Cache

_TRIES = 100
_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to make, but for its number."""

    source: Object
    origin: Origin
    description: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Writes:
    """All writes of the registry but moves of aliases."""

    resources: Resources
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    made: Made = field(default_factory=Made)
    _turns: WeakValueDictionary[tuple[str, str], Any] = field(default_factory=WeakValueDictionary)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create_model(
        self, namespace: str, name: str, *, description: str | None, tags: Mapping[str, str]
    ) -> Object:
        slug = resource_name(name)
        for _ in range(_TRIES):
            body = self._model(namespace, name, slug, _noted(description, tags))
            try:
                return self._create(self.resources.models, MODELS, namespace, body)
            except KubeError as exc:
                if exc.status != 409:
                    raise failures.from_kube(exc) from exc
                there = self._there(namespace, slug)
                if there is not None and model_title(there) != name:
                    # A Model that was renamed keeps the name of its resource.
                    slug = other_name(name, slug)
                elif there is not None and not is_going(there):
                    raise failures.model_exists(name) from exc
                elif there is not None:
                    # To MLflow it is gone, but its versions have to go first. Whoever waits for
                    # that does so at home: here it would hold a thread.
                    since = datetime.fromisoformat(there["metadata"]["deletionTimestamp"])
                    raise failures.still_going(name, since, self.now()) from exc
        raise failures.refused(f"Others keep making and deleting the model {name}")

    def create_version(self, model: Object, new: NewVersion) -> Object:
        """Take the next number that is free by creating its name.

        Versions of one Model are made one after the other here: at once, all but one would find
        their number taken, and try the next with all the others.
        """
        namespace = model["metadata"]["namespace"]
        metadata = model["metadata"]
        with self.turn(metadata["namespace"], f"number/{metadata['name']}"):
            number = self._next_number(model)
            for _ in range(_TRIES):
                try:
                    body = self._version(model, number, new)
                    return self._create(self.resources.versions, MODEL_VERSIONS, namespace, body)
                except KubeError as exc:
                    if exc.status != 409:
                        raise failures.from_kube(exc) from exc
                    number = max(number + 1, self._next_number(model))
        raise failures.not_yet(f"Others keep taking the next version of {model_title(model)}")

    def merge(self, cache: Cache, resource: Object, change: Object) -> Object:
        """Patch a resource as whoever asked; again if others write it in the same moment.

        Raises:
            KubeError: the API server refused; if `change` names a resourceVersion, 409 says that
                it is another by now.
            MlflowException: the API server is away, or the resource would be too large.
        """
        metadata = resource["metadata"]
        require_fits(cache.get(metadata["namespace"], metadata["name"]) or resource, change)
        path = resource_path(cache.plural, metadata["namespace"], metadata["name"])
        hand = hand_for(metadata["namespace"])
        if hand.run_id:
            require_small(cache.get(metadata["namespace"], metadata["name"]) or resource, change)
        insists = "resourceVersion" not in change.get("metadata", {})
        for left in reversed(range(_TRIES)):
            try:
                changed = self.resources.kube.merge(path, change, token=hand.token)
                break
            except KubeDown as exc:
                raise failures.from_kube(exc) from exc
            except KubeError as exc:
                if exc.status != 409 or not insists or not left:
                    raise
                self.pause()
        cache.put(changed)
        return cache.get(metadata["namespace"], metadata["name"]) or changed

    def turn(self, namespace: str, what: str) -> Any:
        """Give a lock for something of a namespace; it lives as long as anybody holds it."""
        with self._lock:
            return self._turns.setdefault((namespace, what), threading.Lock())

    def pause(self) -> None:
        """Wait a moment, each caller another one, so that not all try again at once."""
        self.sleep(random.uniform(0.2, 1) * _PAUSE)  # noqa: S311  # no secret

    def edit(self, cache: Cache, resource: Object, spec: Object, *stamps: str) -> Object:
        """Change fields of the spec, and stamp when: what MLflow counts as an update.

        Raises:
            MlflowException: the API server refused.
        """
        change: Object = {"spec": spec}
        if stamps:
            change["metadata"] = {"annotations": stamp(self.now(), *stamps)}
        try:
            return self.merge(cache, resource, change)
        except KubeError as exc:
            raise failures.from_kube(exc) from exc

    def set_tag(self, cache: Cache, resource: Object, key: str, value: str | None) -> Object:
        """Set a tag; None takes it away."""
        return self.edit(cache, resource, {"tags": {key: value}})

    def delete(self, cache: Cache, resource: Object, *, dry: bool = False) -> None:
        """Delete a resource; while a finalizer holds it, it is gone for MLflow already.

        With `dry` nothing is deleted, and what would be refused is.
        """
        metadata = resource["metadata"]
        path = resource_path(cache.plural, metadata["namespace"], metadata["name"])
        hand = hand_for(metadata["namespace"])
        try:
            answer = self.resources.kube.delete(path, token=hand.token, dry=dry)
        except (KubeError, KubeDown) as exc:
            if isinstance(exc, KubeError) and exc.status == 404:
                cache.remove(resource)
                return
            raise failures.from_kube(exc) from exc
        if dry:
            return
        if answer.get("kind") == "Status" or not is_going(answer):
            cache.remove(resource)
        else:
            cache.put(answer)

    def look(self, namespace: str, name: str) -> Object | None:
        """Look for the Model of a title in the cluster, which knows more than the cache."""
        found = self._there(namespace, resource_name(name))
        return found if found and model_title(found) == name and not is_going(found) else None

    def _create(self, cache: Cache, plural: str, namespace: str, body: Object) -> Object:
        hand = hand_for(namespace)
        whole = {"apiVersion": API_VERSION, **body}
        require_fits(whole, {})
        if hand.run_id:
            require_small(whole, {})
            self.made.take(hand.run_id)
        path = resource_path(plural, namespace)
        try:
            made = self.resources.kube.create(path, whole, token=hand.token)
        except (KubeDown, KubeError) as exc:
            if hand.run_id:
                self.made.give_back(hand.run_id)
            if isinstance(exc, KubeDown):
                raise failures.from_kube(exc) from exc
            raise
        cache.put(made)
        return cache.get(namespace, made["metadata"]["name"]) or made

    def _there(self, namespace: str, name: str) -> Object | None:
        """Look at the Model of a name; None if it is gone by now."""
        try:
            return self.resources.kube.get(resource_path(MODELS, namespace, name))
        except KubeDown as exc:
            raise failures.from_kube(exc) from exc
        except KubeError as exc:
            if exc.status == 404:
                return None
            raise failures.from_kube(exc) from exc

    def _next_number(self, model: Object) -> int:
        """Give the number after all that are, or were, there.

        The operator retires a number before it lets its version go. So the Model is read after
        the versions: who no longer sees a version then sees its number retired.
        """
        metadata = model["metadata"]
        taken = [int(one["spec"]["version"]) for one in self.resources.all_versions_of(model)]
        live = self._there(metadata["namespace"], metadata["name"])
        if live is None or is_going(live):
            raise failures.no_model(model_title(model))
        status = live.get("status") or {}
        return next_version([*taken, status.get("latestVersion") or 0], status.get("retired", 0))

    def _model(self, namespace: str, name: str, slug: str, noted: Object) -> Object:
        spec: Object = {"name": name} if slug != name else {}
        return {
            "kind": "Model",
            "metadata": {
                "name": slug,
                "namespace": namespace,
                "annotations": stamp(self.now(), CREATED),
                "finalizers": [VERSIONS_FINALIZER],
            },
            "spec": spec | noted,
        }

    def _version(self, model: Object, number: int, new: NewVersion) -> Object:
        slug = model["metadata"]["name"]
        return {
            "kind": "ModelVersion",
            "metadata": {
                "name": model_version_name(slug, number),
                "namespace": model["metadata"]["namespace"],
                "labels": {MODEL_LABEL: slug},
                "annotations": new.origin.annotations() | stamp(self.now(), CREATED),
                "finalizers": [RETIRE_FINALIZER],
            },
            "spec": {
                "model": slug,
                "version": number,
                "source": new.source,
                **_noted(new.description, new.tags),
            },
        }


def _noted(description: str | None, tags: Mapping[str, str]) -> Object:
    noted: dict[str, Any] = {}
    if description:
        noted["description"] = description
    if tags:
        noted["tags"] = dict(tags)
    return noted
