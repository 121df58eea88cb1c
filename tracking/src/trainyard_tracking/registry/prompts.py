"""Prompts are kept in MLflow's own SQL registry, not as resources.

A prompt is text of up to 100,000 characters in a tag, of which there are many versions and which
nothing in the cluster serves, gates or publishes. MLflow tells one from a model by a tag, and so
does this: what has it, and what is called like one that has it, goes to MLflow's store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import (
    _PROMPT_SOURCE_PLACEHOLDERS,
    _STORE_PROMPT_SOURCE_PLACEHOLDER,
    IS_PROMPT_TAG_KEY,
)
from mlflow.prompt.registry_utils import has_prompt_tag
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

from trainyard_tracking import rows
from trainyard_tracking.answers import telling
from trainyard_tracking.auth.caller import CALLER
from trainyard_tracking.deadlines import bound
from trainyard_tracking.identity import Person
from trainyard_tracking.registry.failures import only_for_us

_NOT_FOUND = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)


class _PromptStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]  # MLflow is untyped
    """MLflow's own registry store, of which prompts are left."""

    def create_model_version(
        self, name: str, source: str, *args: Any, model_id: str | None = None, **more: Any
    ) -> Any:
        """Make a version of a prompt, which is a text and comes of no model.

        MLflow would look for the model by a client, in whatever store that finds from here.
        """
        if source not in _PROMPT_SOURCE_PLACEHOLDERS or model_id:
            raise MlflowException(
                f"{name} is a prompt, whose versions come of no model: send the source"
                f" {_STORE_PROMPT_SOURCE_PLACEHOLDER!r} without model_id, and the text as a tag",
                INVALID_PARAMETER_VALUE,
            )
        return super().create_model_version(name, source, *args, **more)


@dataclass(slots=True)
class Prompts:
    """The prompts of all namespaces; the namespace is the request's."""

    database_url: str
    _store: Any = None

    def open(self) -> None:
        """Open MLflow's own registry store, once the database is migrated."""
        store = _PromptStore(self.database_url)
        bound(store.engine)
        rows.bound(store.engine)
        store.ManagedSessionMaker = telling(store.ManagedSessionMaker)
        self._store = store

    @property
    def store(self) -> Any:
        """MLflow's own registry store."""
        return self._store

    def has(self, name: str) -> bool:
        """Tell whether a prompt has a name."""
        try:
            self.store.get_registered_model(name)
        except MlflowException as exc:
            if exc.error_code == _NOT_FOUND:
                return False
            raise
        return True

    def written(self) -> Any:
        """Give the store to write to; the door has asked whether the caller may.

        Raises:
            MlflowException: a Run asks, which reads prompts only, or a person by a token that is
                for this service alone.
        """
        who = CALLER.get()
        if isinstance(who, Person) and who.is_for_us_alone:
            raise only_for_us()
        if not isinstance(who, Person):
            raise MlflowException(
                "A Run may read prompts, not write them: register it with an own token",
                PERMISSION_DENIED,
            )
        return self.store


def is_prompt(tags: Any) -> bool:
    """Tell whether what is made with these tags is a prompt."""
    return bool(has_prompt_tag(list(tags or ())))


def asks_for_prompts(parsed: list[dict[str, Any]]) -> bool:
    """Tell whether a search is one for prompts."""
    return bool(SqlAlchemyStore._is_querying_prompt(parsed))  # noqa: SLF001  # as it decides itself


def is_hidden_tag(key: str) -> bool:
    """Tell whether a tag decides what is a prompt, and so belongs on nothing else."""
    return bool(key == IS_PROMPT_TAG_KEY)


def or_prompt(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let MLflow's own store answer a method of the registry if its first argument is a prompt."""
    reads = method.__name__.startswith("get_")

    @wraps(method)
    def answered(registry: Any, name: str, *args: Any, **named: Any) -> Any:
        if registry.is_prompt(name):
            prompts: Prompts = registry.prompts
            store = prompts.store if reads else prompts.written()
            return getattr(store, method.__name__)(name, *args, **named)
        return method(registry, name, *args, **named)

    return answered
