"""Create a resource exactly once, although the answer to a create may get lost."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard_api.meta import Resource

from trainyard import kinds
from trainyard._kube import Kube, Object
from trainyard.errors import Conflict, NotFound

# As Kubernetes completes names: no vowels, nothing that reads like something else.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LETTERS_ADDED = 5
_LONGEST = 63
_TRIES = 3
# By how much the clocks of this machine and of the API server may differ.
_CLOCKS = timedelta(minutes=5)


def suffix() -> str:
    """Return letters that complete a `generateName`."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LETTERS_ADDED))


class Creation:
    """One resource on its way into the cluster.

    A `generateName` is completed here and not by the cluster: only what has a name can be
    sent a second time without being made twice.
    """

    def __init__(self, resource: Resource, namespace: str, *, dry_run: bool) -> None:
        self.kind = type(resource)
        self.namespace = namespace
        self._dry_run = dry_run
        self._body = resource.to_object()
        self._began = datetime.now(UTC)
        self._left = _TRIES
        self._generated = not resource.metadata.name
        if self._generated:
            self._body["metadata"]["name"] = self._fresh_name()

    @property
    def name(self) -> str:
        """The name that it will have."""
        return str(self._body["metadata"]["name"])

    def request(self, kube: Kube) -> Object:
        """Send it, again while nobody answers."""
        return kube.request(
            "POST",
            kinds.collection_path(self.kind, self.namespace),
            what=f"create {kinds.kind_name(self.kind)} {self.name} in namespace {self.namespace}",
            body=self._body,
            params={"dryRun": "All"} if self._dry_run else None,
            harmless=True,
        )

    def made_before(self, kube: Kube, conflict: Conflict) -> Object | None:
        """Return what an unanswered try made, if the name is taken by that and nobody else's."""
        if not conflict.doubtful or conflict.reason != "AlreadyExists" or self._dry_run:
            return None
        path = kinds.resource_path(self.kind, self.namespace, self.name)
        try:
            found = kube.request("GET", path, what=f"look for {self.name}")
        except NotFound:
            return None
        made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        ours = _holds(found["spec"], self._body["spec"]) and made >= self._began - _CLOCKS
        return found if ours else None

    def other_name(self) -> bool:
        """Take another name where the cluster was to choose it; False where there is no choice."""
        self._left -= 1
        if not self._generated or self._left <= 0:
            return False
        self._body["metadata"]["name"] = self._fresh_name()
        return True

    def _fresh_name(self) -> str:
        prefix = self._body["metadata"].get("generateName", "")[: _LONGEST - _LETTERS_ADDED]
        return f"{prefix}{suffix()}"


def _holds(stored: Any, sent: Any) -> bool:
    """Tell whether *stored* is *sent*, with defaults that the cluster added."""
    if isinstance(sent, Mapping):
        return isinstance(stored, Mapping) and all(
            key in stored and _holds(stored[key], value) for key, value in sent.items()
        )
    if isinstance(sent, list):
        same = isinstance(stored, list) and len(stored) == len(sent)
        return same and all(_holds(*pair) for pair in zip(stored, sent, strict=True))
    return bool(stored == sent)
