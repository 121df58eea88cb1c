"""The registry store that MLflow's server calls for `trainyard://`.

Only translates: names and pages are MLflow's, everything else is in the other modules. Runs in
MLflow's request threads; the namespace is the request's workspace. What is not supported says so
as an `MlflowException`, never as a 500, which clients would retry for minutes.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.prompt.registry_utils import (
    add_prompt_filter_string,
    handle_resource_already_exist_error,
)
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils
from mlflow.utils.validation import (
    _validate_model_name,
    _validate_model_renaming,
    _validate_model_version,
    _validate_registered_model_tag,
    _validate_tag_name,
)
from mlflow.utils.workspace_context import get_request_workspace

from trainyard_tracking.errors import Refused
from trainyard_tracking.kube import Object
from trainyard_tracking.registry import entities, failures
from trainyard_tracking.registry.annotations import Origin
from trainyard_tracking.registry.matching import matching_models, matching_versions
from trainyard_tracking.registry.origins import Origins
from trainyard_tracking.registry.pointers import Pointers
from trainyard_tracking.registry.prompts import (
    Prompts,
    asks_for_prompts,
    is_hidden_tag,
    is_prompt,
    or_prompt,
)
from trainyard_tracking.registry.resources import Resources, model_title
from trainyard_tracking.registry.searching import (
    page,
    require_numbers,
    require_page,
    sorted_models,
    sorted_versions,
)
from trainyard_tracking.registry.stages import (
    automatic_holder,
    held_aliases,
    is_active,
    known_stages,
    spelled,
    stage_named,
    transition,
    without,
)
from trainyard_tracking.registry.times import RENAMED, UPDATED
from trainyard_tracking.registry.writes import NewVersion, Writes
from trainyard_tracking.sources import Sources

try:
    from mlflow.utils.validation import _validate_alias_name, _validate_alias_name_reserved
except ImportError:  # before MLflow 3.18
    from mlflow.utils.validation import (
        _validate_model_alias_name as _validate_alias_name,
    )
    from mlflow.utils.validation import (
        _validate_model_alias_name_reserved as _validate_alias_name_reserved,
    )

_MOST_MODELS = 1000
_MOST_VERSIONS = 200_000


class TrainyardStore(AbstractStore):  # type: ignore[misc]  # MLflow is untyped
    """MLflow's model registry on the resources of one cluster."""

    def __init__(self, resources: Resources, sources: Sources, prompts: Prompts) -> None:
        super().__init__("trainyard://")
        self.prompts = prompts
        self.resources = resources
        self.sources = sources
        self.origins = Origins(resources, sources)
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
        # A rename takes a name as well; both look whether it is free first.
        with self.writes.turn(_namespace(), f"title/{name}"):
            found = self.resources.model(_namespace(), name)
            if found is not None or self.prompts.has(name):
                handle_resource_already_exist_error(name, found is None, is_prompt(tags))
            if is_prompt(tags):
                return self.prompts.written().create_registered_model(name, tags, description)
            noted = _tags(tags)
            made = self.writes.create_model(_namespace(), name, description=description, tags=noted)
        return entities.registered_model(made, [])

    @or_prompt
    def get_registered_model(self, name: str) -> Any:
        return self._show(self._model(name))

    @or_prompt
    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> Any:
        model = self._model(name)
        if description is not None:
            model = self.writes.edit(
                self.resources.models, model, {"description": description}, UPDATED
            )
        return self._show(model)

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        _validate_model_renaming(new_name)
        prompts = self.prompts.written() if self.is_prompt(name) else None
        model = {} if prompts else self._model(name)
        with self.writes.turn(_namespace(), f"title/{new_name}"):
            if new_name != name and self._is_taken(new_name):
                raise failures.model_exists(new_name)
            if prompts:
                return prompts.rename_registered_model(name, new_name)
            spec, cache = {"name": new_name}, self.resources.models
            return self._show(self.writes.edit(cache, model, spec, UPDATED, RENAMED))

    @or_prompt
    def delete_registered_model(self, name: str) -> None:
        # One write: with the Model goes what is its own, and if it may not go nothing does.
        self.writes.delete(self.resources.models, self._model(name))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Any:
        size = require_page(max_results, _MOST_MODELS)
        if asks_for_prompts(SearchModelUtils.parse_search_filter(filter_string)):
            return self.prompts.store.search_registered_models(
                filter_string, size, order_by, page_token
            )
        shown = [self._show(model) for model in self.resources.all_models(_namespace())]
        wanted = add_prompt_filter_string(filter_string, is_prompt=False)
        found = sorted_models(matching_models(shown, wanted), order_by)
        return page(found, size, page_token)

    @or_prompt
    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        _validate_tag(tag)
        self.writes.set_tag(self.resources.models, self._model(name), tag.key, tag.value)

    @or_prompt
    def delete_registered_model_tag(self, name: str, key: str) -> None:
        _validate_tag_name(key)
        self.writes.set_tag(self.resources.models, self._model(name), key, None)

    @or_prompt
    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[Any]:
        model = self._model(name)
        latest = entities.latest_versions(model, self.resources.versions_of(model))
        if not stages:
            return latest
        wanted = {get_canonical_stage(stage) for stage in stages}
        return [one for one in latest if one.current_stage in wanted]

    # Versions

    @or_prompt
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
        wanted = self.origins.source(_namespace(), source)
        run = run_id or self.origins.run_of(_namespace(), wanted)
        origin = Origin(source, run, run_link or "", model_id or "")
        new = NewVersion(wanted, origin, description, _tags(tags))
        return entities.model_version(self.writes.create_version(model, new), model)

    @or_prompt
    def get_model_version(self, name: str, version: Any) -> Any:
        model, found = self._version(name, version)
        return entities.model_version(found, model)

    @or_prompt
    def update_model_version(self, name: str, version: Any, description: str | None) -> Any:
        model, found = self._version(name, version)
        spec = {"description": description or ""}
        changed = self.writes.edit(self.resources.versions, found, spec, UPDATED)
        return entities.model_version(changed, model)

    @or_prompt
    def delete_model_version(self, name: str, version: Any) -> None:
        model, found = self._version(name, version)
        # Nothing may change if it is refused, and after it nothing may be left to do.
        self.writes.delete(self.resources.versions, found, dry=True)
        self.pointers.change(model, lambda now: without(now, int(version)))
        self.writes.delete(self.resources.versions, found)
        # MLflow counts it as an update of the model; that is worth no failed call.
        with suppress(MlflowException):
            self.writes.edit(self.resources.models, model, {}, UPDATED)

    @or_prompt
    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        _, found = self._version(name, version)
        try:
            # Never a URI of elsewhere: MLflow's server would fetch it with the service's own keys.
            key = self.sources.of_version(_namespace(), found).key
        except Refused as exc:
            if exc.passes:
                raise
            raise failures.from_refusal(exc) from exc
        return f"mlflow-artifacts:/{key.partition('/')[2]}"

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Any:
        size = require_page(max_results, _MOST_VERSIONS)
        parsed = SearchModelVersionUtils.parse_search_filter(filter_string)
        require_numbers(parsed)
        if asks_for_prompts(parsed):
            return self.prompts.store.search_model_versions(
                filter_string, size, order_by, page_token
            )
        shown = [
            entities.model_version(version, model)
            for model in self._models_for(parsed)
            for version in self.resources.versions_of(model)
        ]
        wanted = add_prompt_filter_string(filter_string, is_prompt=False)
        found = matching_versions(shown, wanted)
        return page(sorted_versions(found, order_by), size, page_token)

    @or_prompt
    def set_model_version_tag(self, name: str, version: Any, tag: Any) -> None:
        _validate_tag(tag)
        _, found = self._version(name, version)
        self.writes.set_tag(self.resources.versions, found, tag.key, tag.value)

    @or_prompt
    def delete_model_version_tag(self, name: str, version: Any, key: str) -> None:
        _validate_tag_name(key)
        _, found = self._version(name, version)
        self.writes.set_tag(self.resources.versions, found, key, None)

    # Pointers

    @or_prompt
    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        model, found = self._version(name, version)
        target = spelled(model, stage)
        if target is None:
            raise failures.no_stage(name, stage, known_stages(model))
        if archive_existing_versions and not is_active(target):
            raise failures.not_active(target)
        number = int(version)
        if stage_named(model, target) is None and (holder := automatic_holder(model, number)):
            raise failures.held_by(holder, model_title(model), number)
        numbers = [int(one["spec"]["version"]) for one in self.resources.versions_of(model)]
        moved = partial(
            transition,
            version=number,
            stage=target,
            archive=archive_existing_versions,
            numbers=numbers,
            now=self.writes.now(),
        )
        self.pointers.change(model, moved)
        return entities.model_version(found, self._model(name))

    @or_prompt
    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> None:
        _validate_alias_name(alias)
        _validate_alias_name_reserved(alias)
        model, _ = self._version(name, version)
        self.pointers.move(model, alias, int(version))

    @or_prompt
    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        _validate_alias_name(alias)
        self.pointers.drop(self._model(name), alias)

    @or_prompt
    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        model = self._model(name)
        if alias.lower() == "latest":
            versions = self.resources.versions_of(model)
            if not versions:
                raise failures.no_latest(name)
            return entities.model_version(versions[-1], model)
        held = held_aliases(model).get(alias)
        found = None if held is None else self.resources.numbered(model, held)
        if found is None:
            raise failures.not_held(model, alias)
        return entities.model_version(found, model)

    # What MLflow calls although this registry has none of it

    def list_webhooks_by_event(
        self, event: Any, max_results: int | None = None, page_token: str | None = None
    ) -> Any:
        return PagedList([], None)

    def _await_model_version_creation(self, mv: Any, await_creation_for: Any) -> None:
        """Do nothing: a version can be used as soon as it is there."""

    # Looking up

    def is_prompt(self, name: str) -> bool:
        """Tell whether a name is that of a prompt; a Model's comes first, as it is in memory."""
        return self.resources.model(_namespace(), name) is None and self.prompts.has(name)

    def _is_taken(self, name: str) -> bool:
        return (
            self.resources.model(_namespace(), name) is not None
            or self.writes.look(_namespace(), name) is not None
            or self.prompts.has(name)
        )

    def _models_for(self, parsed: list[dict[str, Any]]) -> list[Object]:
        """Give the Models that a search can find versions of: most name theirs."""
        for one in parsed:
            if (one["type"], one["key"], one["comparator"]) == ("attribute", "name", "="):
                found = self.resources.model(_namespace(), one["value"])
                return [found] if found else []
        return self.resources.all_models(_namespace())

    def _model(self, name: str) -> Object:
        _validate_model_name(name)
        found = self.resources.model(_namespace(), name)
        if found is None:
            raise failures.no_model(name)
        return found

    def _version(self, name: str, version: Any) -> tuple[Object, Object]:
        _validate_model_version(version)
        _validate_model_name(name)
        model = self.resources.model(_namespace(), name)
        found = None if model is None else self.resources.numbered(model, int(version))
        if model is None or found is None:
            raise failures.no_version(name, version)
        return model, found

    def _show(self, model: Object) -> Any:
        return entities.registered_model(model, self.resources.versions_of(model))


def _namespace() -> str:
    return str(get_request_workspace() or "default")


def _tags(tags: Any) -> dict[str, str]:
    for tag in tags or ():
        _validate_tag(tag)
    return {tag.key: tag.value for tag in tags or ()}


def _validate_tag(tag: Any) -> None:
    _validate_registered_model_tag(tag.key, tag.value)
    if is_hidden_tag(tag.key):
        raise failures.refused(f"Tag {tag.key} is given when a prompt is made, never later")
