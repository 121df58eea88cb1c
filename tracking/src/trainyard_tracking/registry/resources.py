"""Reads Models, ModelVersions and Runs out of the watch caches, by MLflow's names."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from trainyard_api.contract import MODEL_VERSIONS, MODELS
from trainyard_api.names import mlflow_name, model_version_name, resource_name

from trainyard_tracking.errors import Unavailable
from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object, resource_path
from trainyard_tracking.registry.annotations import (
    is_file_of,
    model_id_of,
    run_id_of,
    run_with_files_of,
)
from trainyard_tracking.registry.stages import find_stage, staged
from trainyard_tracking.watching import Cache


def slim(resource: Object) -> Object:
    """Keep of a resource what is read here."""
    metadata = dict(resource["metadata"])
    metadata.pop("managedFields", None)
    return {**resource, "metadata": metadata}


@dataclass(slots=True)
class Resources:
    """The registry's resources, of all namespaces.

    Every method raises `Busy` until the cluster was read once: what is not known yet must
    not be said to be missing, as clients take that for an answer.
    """

    kube: Kube
    models: Cache = field(
        default_factory=lambda: Cache(MODELS, slim, lambda one: (model_title(one),))
    )
    versions: Cache = field(default_factory=lambda: Cache(MODEL_VERSIONS, slim, _keys_of_version))

    def model(self, namespace: str, name: str) -> Object | None:
        """Find a Model by MLflow's name for it."""
        found = [one for one in self.models.by(namespace, name) if not is_going(one)]
        # Two of one title can only be made past MLflow; the one whose name it is comes first.
        slug = resource_name(name)
        found.sort(key=lambda one: (one["metadata"]["name"] != slug, one["metadata"]["name"]))
        return found[0] if found else None

    def all_models(self, namespace: str) -> list[Object]:
        shown = {
            model_title(one): one for one in self.models.within(namespace) if not is_going(one)
        }
        return [found for title in shown if (found := self.model(namespace, title))]

    def version_of(self, namespace: str, model: str, number: str) -> Object | None:
        """Find a version by MLflow's name of its model and its number."""
        found = self.model(namespace, model)
        if found is None or not (number.isascii() and number.isdecimal()):
            return None
        return self.numbered(found, int(number))

    def numbered(self, model: Object, number: int) -> Object | None:
        """Find a version of a Model by its number."""
        metadata = model["metadata"]
        name = model_version_name(metadata["name"], number)
        found = self.version(metadata["namespace"], name)
        return found if found is not None and _is_shown(found, staged(model)) else None

    def version(self, namespace: str, name: str) -> Object | None:
        """Find a ModelVersion by the name of its resource, in the cluster if it is very new."""
        return self.versions.get(namespace, name) or self._ask(MODEL_VERSIONS, namespace, name)

    def versions_of(self, model: Object) -> list[Object]:
        """List the versions of a Model that exist, by number."""
        held = staged(model)
        found = [one for one in self.all_versions_of(model) if _is_shown(one, held)]
        return sorted(found, key=lambda one: int(one["spec"]["version"]))

    def all_versions_of(self, model: Object) -> list[Object]:
        """List the same in no order, with those that are being deleted."""
        metadata = model["metadata"]
        return self.versions.by(metadata["namespace"], f"model/{metadata['name']}")

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
        return bool(self.versions.by(namespace, f"id/{model_id}"))

    def is_registered_path(self, namespace: str, path: str) -> bool:
        """Tell whether a path (without the workspace) is one of a version's files."""
        segments = path.split("/")
        word = "id" if segments[1:2] == ["models"] else "run"
        key = f"{word}/{segments[2 if word == 'id' else 1]}" if len(segments) > 2 else ""
        return any(is_file_of(one, path) for one in self.versions.by(namespace, key))

    def _ask(self, plural: str, namespace: str, name: str) -> Object | None:
        """Look in the cluster.

        Raises:
            Unavailable: it can't be asked, which is no proof that there is no such thing.
        """
        try:
            return self.kube.get(resource_path(plural, namespace, name))
        except KubeError as exc:
            if exc.status == 404:
                return None
            raise Unavailable(f"The Kubernetes API does not show {plural} {name}: {exc}") from exc
        except KubeDown as exc:
            raise Unavailable(f"The Kubernetes API can't be asked for {name}: {exc}") from exc


def model_title(model: Object) -> str:
    """Give MLflow's name of a Model."""
    return mlflow_name(model["metadata"]["name"], model.get("spec", {}).get("name"))


def is_going(resource: Object) -> bool:
    """Tell whether a resource is being deleted: to MLflow it is gone."""
    return "deletionTimestamp" in resource["metadata"]


def _is_shown(version: Object, staged: Container[int]) -> bool:
    """Tell whether MLflow sees a version: one that goes stays as long as a stage serves it."""
    return not is_going(version) or int(version["spec"]["version"]) in staged


def _keys_of_version(version: Object) -> Iterator[str]:
    yield f"model/{version['spec']['model']}"
    if model_id := model_id_of(version):
        yield f"id/{model_id}"
    if run_id := run_with_files_of(version):
        yield f"run/{run_id}"
