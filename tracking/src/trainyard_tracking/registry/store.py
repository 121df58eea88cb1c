"""The registry store that MLflow's server calls for `trainyard://`.

Only translates: names and pages are MLflow's, everything else is in the other modules. Runs in
MLflow's request threads; the namespace is the request's workspace. What is not supported says so
as an `MlflowException`, never as a 500, which clients would retry for minutes.
"""

from typing import Any

from flask import after_this_request
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.prompt.registry_utils import add_prompt_filter_string
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils
from mlflow.utils.validation import (
    _validate_model_alias_name,
    _validate_model_name,
    _validate_model_version,
    _validate_registered_model_tag,
    _validate_tag_name,
)
from mlflow.utils.workspace_context import get_request_workspace

from trainyard_tracking.errors import Refused, Unavailable
from trainyard_tracking.kube import Object
from trainyard_tracking.registry import entities, failures
from trainyard_tracking.registry.annotations import Origin
from trainyard_tracking.registry.pointers import Pointers
from trainyard_tracking.registry.resources import Resources, model_title
from trainyard_tracking.registry.stages import find_stage, held_aliases, stage_named
from trainyard_tracking.registry.writes import NewVersion, Writes
from trainyard_tracking.sources import Sources

_VERSIONS_ORDER = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
_MOST_MODELS = 1000
_MOST_VERSIONS = 200_000


class TrainyardStore(AbstractStore):  # type: ignore[misc]  # MLflow is untyped
    """MLflow's model registry on the resources of one cluster."""

    def __init__(self, resources: Resources, sources: Sources) -> None:
        super().__init__("trainyard://")
        self.resources = resources
        self.sources = sources
        self.writes = Writes(resources)
        self.pointers = Pointers(resources, self.writes)

    @property
    def supports_workspaces(self) -> bool:
        """Say that every request is confined to its workspace, which is its namespace."""
        return True

    # Models

    def create_registered_model(
        self,
        name: str,
        tags: Any = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> Any:
        _validate_model_name(name)
        if self.resources.model(_namespace(), name) is not None:
            raise failures.model_exists(name)
        noted = _tags(tags)
        try:
            made = self.writes.create_model(_namespace(), name, description=description, tags=noted)
        except failures.NotYet as exc:
            again = str(exc.again)
            after_this_request(lambda answer: _with_header(answer, "Retry-After", again))
            raise
        return entities.registered_model(made, [])

    def get_registered_model(self, name: str) -> Any:
        return self._show(self._model(name))

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> Any:
        model = self._model(name)
        if description is not None:
            model = self.writes.set_field(self.resources.models, model, "description", description)
        return self._show(model)

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        raise failures.not_here("Renaming a registered model")

    def delete_registered_model(self, name: str) -> None:
        model = self._model(name)
        for version in self.resources.versions_of(model):
            self.writes.delete(self.resources.versions, version)
        self.writes.delete(self.resources.models, model)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Any:
        _check_page(max_results, _MOST_MODELS)
        shown = [self._show(model) for model in self.resources.all_models(_namespace())]
        wanted = add_prompt_filter_string(filter_string, is_prompt=False)
        found = SearchModelUtils.sort(SearchModelUtils.filter(shown, wanted), order_by)
        return _page(found, max_results, page_token)

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        _validate_registered_model_tag(tag.key, tag.value)
        self.writes.set_tag(self.resources.models, self._model(name), tag.key, tag.value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        _validate_tag_name(key)
        self.writes.delete_tag(self.resources.models, self._model(name), key)

    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[Any]:
        model = self._model(name)
        latest = entities.latest_versions(model, self.resources.versions_of(model))
        if not stages:
            return latest
        wanted = {get_canonical_stage(stage) for stage in stages}
        return [one for one in latest if one.current_stage in wanted]

    # Versions

    def create_model_version(  # noqa: PLR0917  # MLflow's signature
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Any:
        model = self._model(name)
        wanted = self._source(source)
        origin = Origin(source, run_id or self._run_of(wanted), run_link or "", model_id or "")
        new = NewVersion(wanted, origin, description, _tags(tags))
        return entities.model_version(self.writes.create_version(model, new), model)

    def get_model_version(self, name: str, version: Any) -> Any:
        model, found = self._version(name, version)
        return entities.model_version(found, model)

    def update_model_version(self, name: str, version: Any, description: str | None) -> Any:
        model, found = self._version(name, version)
        changed = self.writes.set_field(
            self.resources.versions, found, "description", description or ""
        )
        return entities.model_version(changed, model)

    def delete_model_version(self, name: str, version: Any) -> None:
        model, found = self._version(name, version)
        pointing = model["spec"].get("aliases") or {}
        for alias in [one for one, held in pointing.items() if str(held) == str(version)]:
            self.pointers.drop(model, alias)
        self.writes.delete(self.resources.versions, found)

    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        _, found = self._version(name, version)
        try:
            # Never a URI of elsewhere: MLflow's server would fetch it with the service's own keys.
            key = self.sources.of_version(_namespace(), found).key
        except Unavailable:
            raise
        except Refused as exc:
            raise failures.refused(str(exc)) from exc
        return f"mlflow-artifacts:/{key.partition('/')[2]}"

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Any:
        _check_page(max_results, _MOST_VERSIONS)
        shown = [
            entities.model_version(version, model)
            for model in self.resources.all_models(_namespace())
            for version in self.resources.versions_of(model)
        ]
        wanted = add_prompt_filter_string(filter_string, is_prompt=False)
        found = SearchModelVersionUtils.filter(shown, wanted)
        ordered = SearchModelVersionUtils.sort(found, order_by or _VERSIONS_ORDER)
        return _page(ordered, max_results, page_token)

    def set_model_version_tag(self, name: str, version: Any, tag: Any) -> None:
        _validate_registered_model_tag(tag.key, tag.value)
        _, found = self._version(name, version)
        self.writes.set_tag(self.resources.versions, found, tag.key, tag.value)

    def delete_model_version_tag(self, name: str, version: Any, key: str) -> None:
        _validate_tag_name(key)
        _, found = self._version(name, version)
        self.writes.delete_tag(self.resources.versions, found, key)

    # Pointers

    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        model, found = self._version(name, version)
        ours = stage_named(model, stage)
        if ours is None:
            raise failures.not_here(
                f"Stage {stage} of {name}: add it to spec.stages of Model"
                f" {model['metadata']['name']}, or use an alias; anything else than a stage of it"
            )
        self.pointers.move(model, ours["name"], int(version))
        return entities.model_version(found, self._model(name))

    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> None:
        _validate_model_alias_name(alias)
        model, _ = self._version(name, version)
        self.pointers.move(model, alias, int(version))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        _validate_model_alias_name(alias)
        self.pointers.drop(self._model(name), alias)

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        model = self._model(name)
        if alias.lower() == "latest":
            versions = self.resources.versions_of(model)
            if not versions:
                raise failures.no_version(name, alias)
            return entities.model_version(versions[-1], model)
        held = held_aliases(model).get(alias)
        found = None if held is None else self.resources.version_of(_namespace(), name, str(held))
        if found is None:
            raise _not_held(model, alias)
        return entities.model_version(found, model)

    # What MLflow calls although this registry has none of it

    def list_webhooks_by_event(
        self, event: Any, max_results: int | None = None, page_token: str | None = None
    ) -> Any:
        return PagedList([], None)

    def _await_model_version_creation(self, mv: Any, await_creation_for: Any) -> None:
        """Do nothing: a version can be used as soon as it is there."""

    # Looking up

    def _model(self, name: str) -> Object:
        _validate_model_name(name)
        found = self.resources.model(_namespace(), name)
        if found is None:
            raise failures.no_model(name)
        return found

    def _version(self, name: str, version: Any) -> tuple[Object, Object]:
        _validate_model_version(version)
        model = self._model(name)
        found = self.resources.version_of(_namespace(), name, str(int(version)))
        if found is None:
            raise failures.no_version(name, version)
        return model, found

    def _show(self, model: Object) -> Any:
        return entities.registered_model(model, self.resources.versions_of(model))

    def _source(self, source: str) -> Object:
        """Write MLflow's source as the resource does."""
        scheme, _, path = source.partition(":/")
        first, _, rest = path.strip("/").partition("/")
        if scheme == "runs" and rest:
            return {"mlflowRun": {"id": first, "artifactPath": rest}}
        if scheme == "models" and rest:
            # A copy of another version has that version's source: names may change, files don't.
            _, other = self._version(first, rest)
            return self._copied(other)
        return {"uri": source}

    def _copied(self, version: Object) -> Object:
        copied: Object = version["spec"]["source"]
        if "run" not in copied:
            return copied
        # A Run's name may be another's by the time the copy is published.
        try:
            return {"uri": self.sources.of_version(_namespace(), version).uri}
        except Unavailable:
            raise
        except Refused as exc:
            raise failures.refused(str(exc)) from exc

    def _run_of(self, source: Object) -> str:
        try:
            return self.sources.resolve(_namespace(), source).run_id or ""
        except Unavailable:
            raise
        except Refused:
            return ""


def _namespace() -> str:
    return str(get_request_workspace() or "default")


def _with_header(answer: Any, name: str, value: str) -> Any:
    answer.headers[name] = value
    return answer


def _tags(tags: Any) -> dict[str, str]:
    for tag in tags or ():
        _validate_registered_model_tag(tag.key, tag.value)
        if tag.key == IS_PROMPT_TAG_KEY and tag.value.lower() == "true":
            raise failures.not_here("Keeping prompts")
    return {tag.key: tag.value for tag in tags or ()}


def _not_held(model: Object, alias: str) -> MlflowException:
    wanted = (model["spec"].get("aliases") or {}).get(alias)
    if find_stage(model, alias) is None or wanted is None:
        return failures.no_alias(alias)
    return failures.refused(
        f"Stage {alias} of {model_title(model)} holds no version yet: {wanted} is wanted;"
        f" see status.stages of Model {model['metadata']['name']}"
    )


def _check_page(max_results: int | None, most: int) -> None:
    if not isinstance(max_results, int) or max_results < 1:
        raise MlflowException(
            f"Invalid value for max_results. It must be a positive integer, but got {max_results}",
            INVALID_PARAMETER_VALUE,
        )
    if max_results > most:
        raise MlflowException(
            "Invalid value for request parameter max_results. It must be at most "
            f"{most}, but got value {max_results}",
            INVALID_PARAMETER_VALUE,
        )


def _page(found: list[Any], max_results: int | None, page_token: str | None) -> Any:
    start = SearchUtils.parse_start_offset_from_page_token(page_token)
    end = start + (max_results or len(found))
    token = SearchUtils.create_page_token(end) if end < len(found) else None
    return PagedList(found[start:end], token)
