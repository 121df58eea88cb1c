"""Writes Models and ModelVersions through to the API server, and into the cache at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trainyard_api.contract import (
    API_VERSION,
    MODEL_LABEL,
    MODEL_VERSIONS,
    MODELS,
    RETIRE_FINALIZER,
    VERSIONS_FINALIZER,
)
from trainyard_api.names import model_version_name, next_version, resource_name

from trainyard_tracking.kube import KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry import failures
from trainyard_tracking.registry.annotations import Origin
from trainyard_tracking.registry.caller import hand_for
from trainyard_tracking.registry.resources import Resources, is_going, model_title
from trainyard_tracking.watching import Cache

_TRIES = 20


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

    def create_model(
        self, namespace: str, name: str, *, description: str | None, tags: Mapping[str, str]
    ) -> Object:
        slug = resource_name(name)
        spec: Object = {"name": name} if slug != name else {}
        spec |= _noted(description, tags)
        meta = {"name": slug, "namespace": namespace, "finalizers": [VERSIONS_FINALIZER]}
        body = {"kind": "Model", "metadata": meta, "spec": spec}
        for _ in range(_TRIES):
            try:
                return self._create(self.resources.models, MODELS, namespace, body)
            except KubeError as exc:
                if exc.status != 409:
                    raise failures.from_kube(exc) from exc
                there = self._there(namespace, slug)
                if there is not None and not is_going(there):
                    raise failures.model_exists(name) from exc
                if there is not None:
                    # To MLflow it is gone, but its versions have to go first. Whoever waits for
                    # that does so at home: here it would hold a thread.
                    since = datetime.fromisoformat(there["metadata"]["deletionTimestamp"])
                    raise failures.still_going(name, since, self.now()) from exc
        raise failures.refused(f"Others keep making and deleting the model {name}")

    def create_version(self, model: Object, new: NewVersion) -> Object:
        """Take the next number that is free by creating its name."""
        namespace = model["metadata"]["namespace"]
        number = self._next_number(model)
        for _ in range(_TRIES):
            try:
                body = _version(model, number, new)
                return self._create(self.resources.versions, MODEL_VERSIONS, namespace, body)
            except KubeError as exc:
                if exc.status != 409:
                    raise failures.from_kube(exc) from exc
                number += 1
        raise failures.refused(f"Others keep taking the next version of {model_title(model)}")

    def patch(self, cache: Cache, resource: Object, operations: list[Object]) -> Object:
        """Patch a resource as whoever asked.

        Raises:
            KubeError: the API server refused; a failed `test` is among it.
        """
        metadata = resource["metadata"]
        path = resource_path(cache.plural, metadata["namespace"], metadata["name"])
        hand = hand_for(metadata["namespace"])
        try:
            changed = self.resources.kube.patch(path, operations, token=hand.token)
        except KubeDown as exc:
            raise failures.from_kube(exc) from exc
        cache.put(changed)
        return cache.get(metadata["namespace"], metadata["name"]) or changed

    def edit(self, cache: Cache, resource: Object, operations: list[Object]) -> Object:
        """Patch where no conflict is to be expected.

        Raises:
            MlflowException: the API server refused.
        """
        try:
            return self.patch(cache, resource, operations)
        except KubeError as exc:
            raise failures.from_kube(exc) from exc

    def set_field(self, cache: Cache, resource: Object, name: str, value: str) -> Object:
        return self.edit(cache, resource, [{"op": "add", "path": f"/spec/{name}", "value": value}])

    def set_tag(self, cache: Cache, resource: Object, key: str, value: str) -> Object:
        tags = resource["spec"].get("tags")
        operations: list[Object] = []
        if tags is None:
            operations.append({"op": "add", "path": "/spec/tags", "value": {}})
        operations.append({"op": "add", "path": f"/spec/tags/{escape(key)}", "value": value})
        return self.edit(cache, resource, operations)

    def delete_tag(self, cache: Cache, resource: Object, key: str) -> None:
        if key in (resource["spec"].get("tags") or {}):
            path = f"/spec/tags/{escape(key)}"
            self.edit(cache, resource, [{"op": "remove", "path": path}])

    def delete(self, cache: Cache, resource: Object) -> None:
        """Delete a resource; while a finalizer holds it, it is gone for MLflow already."""
        metadata = resource["metadata"]
        path = resource_path(cache.plural, metadata["namespace"], metadata["name"])
        hand = hand_for(metadata["namespace"])
        try:
            answer = self.resources.kube.delete(path, token=hand.token)
        except (KubeError, KubeDown) as exc:
            if isinstance(exc, KubeError) and exc.status == 404:
                cache.remove(resource)
                return
            raise failures.from_kube(exc) from exc
        if answer.get("kind") == "Status" or not is_going(answer):
            cache.remove(resource)
        else:
            cache.put(answer)

    def _create(self, cache: Cache, plural: str, namespace: str, body: Object) -> Object:
        hand = hand_for(namespace)
        whole = {"apiVersion": API_VERSION, **body}
        path = resource_path(plural, namespace)
        try:
            made = self.resources.kube.create(path, whole, token=hand.token)
        except KubeDown as exc:
            raise failures.from_kube(exc) from exc
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
        metadata = model["metadata"]
        known = self.resources.versions.within(metadata["namespace"])
        taken = (
            int(one["spec"]["version"]) for one in known if one["spec"]["model"] == metadata["name"]
        )
        return next_version(taken, int((model.get("status") or {}).get("retired", 0)))


def escape(key: str) -> str:
    """Write a key as JSON pointers want it."""
    return key.replace("~", "~0").replace("/", "~1")


def _noted(description: str | None, tags: Mapping[str, str]) -> Object:
    noted: dict[str, Any] = {}
    if description:
        noted["description"] = description
    if tags:
        noted["tags"] = dict(tags)
    return noted


def _version(model: Object, number: int, new: NewVersion) -> Object:
    slug = model["metadata"]["name"]
    return {
        "kind": "ModelVersion",
        "metadata": {
            "name": model_version_name(slug, number),
            "namespace": model["metadata"]["namespace"],
            "labels": {MODEL_LABEL: slug},
            "annotations": new.origin.annotations(),
            "finalizers": [RETIRE_FINALIZER],
        },
        "spec": {
            "model": slug,
            "version": number,
            "source": new.source,
            **_noted(new.description, new.tags),
        },
    }
