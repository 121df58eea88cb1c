"""Who is asking, as plain values; nothing here knows how it was found out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The code of one Run, by its run token."""

    run_id: str
    namespace: str
    name: str
    experiment_id: str


@dataclass(frozen=True, slots=True)
class VersionIdentity:
    """The publishing Job of one ModelVersion."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeploymentIdentity:
    """The serving pods of one Deployment; they read the models with these digests."""

    namespace: str
    name: str
    digests: frozenset[str]
    uid: str = ""
    """Empty in tokens of earlier releases."""
    made_at: float = 0.0
    """When the Deployment was made, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user or service account of the cluster, by a token that the API server believes."""

    username: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]
    token: str
    is_for_us_alone: bool = False
    """The token has our audience and no other: the API server would not take it."""

    @property
    def owner(self) -> str:
        """Whom it counts against: a namespace for all its ServiceAccounts, of which it has many."""
        kind, _, account = self.username.partition(":serviceaccount:")
        return f"namespace {account.split(':')[0]}" if kind == "system" else f"user {self.username}"

    def __repr__(self) -> str:
        return f"Person({self.username!r})"


Identity = RunIdentity | VersionIdentity | DeploymentIdentity | Person
