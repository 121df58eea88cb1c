"""MLflow's workspaces are the namespaces of the cluster: listed for who may list their Runs.

Workspaces are not made here; a namespace is. Rights are checked at the door, so a workspace that
is asked for by name is given to whoever asks, if it exists. Those of the system are not listed, and
in a cluster of very many neither are those in which Trainyard was never used.
"""

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from typing import Any

from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.workspace.abstract_store import AbstractStore
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from trainyard_api.contract import RUNS

from trainyard_tracking.auth.caller import CALLER, SHOWN
from trainyard_tracking.errors import Busy, NotFound
from trainyard_tracking.identity import Person
from trainyard_tracking.registry import failures
from trainyard_tracking.reviews import Permission
from trainyard_tracking.visible import Visible
from trainyard_tracking.watching import Cache

MANY = 1_000
"""Namespaces of which all are listed, used or not."""


class Namespaces(AbstractStore):  # type: ignore[misc]  # MLflow is untyped
    """Namespaces as workspaces; read-only."""

    def __init__(self, cache: Cache, visible: Visible, *, own: str = "") -> None:
        self.cache = cache
        self.visible = visible
        self.own = own
        # MLflow opens its stores, with this one among them, before there is a database to ask.
        self.require: Callable[[str], None] = lambda namespace: None
        self.used: Callable[[], Container[str]] = tuple

    def list_workspaces(self) -> Iterable[Any]:
        who = CALLER.get()
        if not isinstance(who, Person):
            return [] if who is None else [Workspace(name=who.namespace)]
        names = sorted(one["metadata"]["name"] for one in self.cache.within())
        offered = [name for name in names if self._offers(name)]
        if len(offered) > MANY:
            used = self.used()
            offered = [name for name in offered if name in used]
        try:
            listed = self.visible.among(who, "list", RUNS, offered)
        except Busy:
            if (shown := SHOWN.get()) is None:
                raise
            listed = self._so_far(who, offered, shown)
        return [Workspace(name=name) for name in listed]

    def _so_far(self, who: Person, offered: list[str], shown: str) -> list[str]:
        """Give what is known yet, and the workspace that the UI is in: it asks only once."""
        known = set(self.visible.known(who, "list", RUNS, offered))
        if shown in offered and shown not in known:
            with suppress(Busy):
                if self.visible.reviews.may(who, Permission(RUNS, "list", shown)):
                    known.add(shown)
        return sorted(known)

    def get_workspace(self, workspace_name: str) -> Any:
        """Give a workspace; whether who asks may use it is checked at the door.

        Raises:
            MlflowException: there is no such namespace.
        """
        try:
            self.require(workspace_name)
        except NotFound as exc:
            raise MlflowException(str(exc), RESOURCE_DOES_NOT_EXIST) from exc
        return Workspace(name=workspace_name)

    def get_default_workspace(self) -> Any:
        return Workspace(name=DEFAULT_WORKSPACE_NAME)

    def create_workspace(self, workspace: Any) -> Any:
        raise failures.not_here("Making a workspace: create a namespace instead. It")

    def update_workspace(self, workspace: Any) -> Any:
        raise failures.not_here("Changing a workspace")

    def delete_workspace(self, workspace_name: str, mode: Any = None) -> None:
        raise failures.not_here("Deleting a workspace: delete the namespace instead. It")

    def _offers(self, name: str) -> bool:
        """Leave out where nobody trains, unless somebody asks for it by name."""
        return name == DEFAULT_WORKSPACE_NAME or not (name.startswith("kube-") or name == self.own)
