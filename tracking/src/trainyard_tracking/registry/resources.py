"""Reads Models, ModelVersions and Runs out of the watch caches, by MLflow's names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from trainyard_api.contract import MODEL_VERSIONS, MODELS
from trainyard_api.names import mlflow_name, model_version_name, resource_name

from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry.annotations import is_file_of, model_id_of, run_id_of
from trainyard_tracking.registry.stages import find_stage
from trainyard_tracking.watching import Cache


def slim(resource: Object) -> Object:
    """Keep of a resource what is read here, and when it last changed."""
    metadata = dict(resource["metadata"])
    managed: Iterable[Any] = metadata.pop("managedFields", None) or ()
    times = [str(entry["time"]) for entry in managed if entry.get("time")]
    # Writes of status are the operator's and change nothing that MLflow shows as an update.
    metadata.setdefault("lastUpdated", max([*times, metadata.get("creationTimestamp", "")]))
    return {**resource, "metadata": metadata}


@dataclass(slots=True)
class Resources:
    """The registry's resources, of all namespaces."""

    kube: Kube
    models: Cache = field(default_factory=lambda: Cache(MODELS, slim))
    versions: Cache = field(default_factory=lambda: Cache(MODEL_VERSIONS, slim))

    def model(self, namespace: str, name: str) -> Object | None:
        """Find a Model by MLflow's name for it."""
        found = self.models.get(namespace, resource_name(name))
        if found is None or is_going(found) or model_title(found) != name:
            return None
        return found

    def all_models(self, namespace: str) -> list[Object]:
        return [one for one in self.models.within(namespace) if not is_going(one)]

    def version_of(self, namespace: str, model: str, number: str) -> Object | None:
        """Find a version by MLflow's name of its model and its number."""
        if not number.isdecimal():
            return None
        name = model_version_name(resource_name(model), int(number))
        found = self.version(namespace, name)
        return None if found is None or is_going(found) else found

    def version(self, namespace: str, name: str) -> Object | None:
        """Find a ModelVersion by the name of its resource, in the cluster if it is very new."""
        return self.versions.get(namespace, name) or self._ask(MODEL_VERSIONS, namespace, name)

    def versions_of(self, model: Object) -> list[Object]:
        """List the versions of a Model that exist, by number."""
        metadata = model["metadata"]
        found = [
            one
            for one in self.versions.within(metadata["namespace"])
            if one["spec"]["model"] == metadata["name"] and not is_going(one)
        ]
        return sorted(found, key=lambda one: int(one["spec"]["version"]))

    def run(self, namespace: str, name: str) -> Object | None:
        """Find a Run in the cluster; Runs are too many to keep."""
        return self._ask("runs", namespace, name)

    def is_stage(self, namespace: str, model: str, alias: str) -> bool:
        found = self.model(namespace, model)
        return found is not None and find_stage(found, alias) is not None

    def run_of(self, namespace: str, model: str, version: str) -> str | None:
        """Give the id of the MLflow run that a version came from."""
        found = self.version_of(namespace, model, version)
        return None if found is None else run_id_of(found)

    def is_registered_model_id(self, namespace: str, model_id: str) -> bool:
        return any(model_id_of(one) == model_id for one in self.versions.within(namespace))

    def is_registered_path(self, namespace: str, path: str) -> bool:
        """Tell whether a path (without the workspace) is one of a version's files."""
        return any(is_file_of(one, path) for one in self.versions.within(namespace))

    def _ask(self, plural: str, namespace: str, name: str) -> Object | None:
        try:
            return self.kube.get(resource_path(plural, namespace, name))
        except (KubeDown, KubeError):
            return None


def model_title(model: Object) -> str:
    """Give MLflow's name of a Model."""
    return mlflow_name(model["metadata"]["name"], model.get("spec", {}).get("name"))


def is_going(resource: Object) -> bool:
    """Tell whether a resource is being deleted: to MLflow it is gone."""
    return "deletionTimestamp" in resource["metadata"]
