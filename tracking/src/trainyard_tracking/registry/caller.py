"""Whose hands a write goes through. The API server decides what they may do."""

from dataclasses import dataclass

from trainyard_tracking.auth.caller import CALLER
from trainyard_tracking.identity import Person, RunIdentity
from trainyard_tracking.registry import failures


@dataclass(frozen=True, slots=True)
class Hand:
    """Who writes; `token` is None for our own service account."""

    name: str
    token: str | None
    run_id: str = ""
    """Of the Run that we write for."""


def hand_for(namespace: str) -> Hand:
    """Give the hand of whoever asked.

    People write with their own token. Code of a Run has none that the API server knows: we write
    for it, in its own namespace only.

    Raises:
        MlflowException: nobody asked, a Run asked for another namespace, or a person by a token
            that the API server does not take.
    """
    who = CALLER.get()
    if isinstance(who, Person) and who.is_for_us_alone:
        raise failures.only_for_us()
    if isinstance(who, Person):
        return Hand(who.username, who.token)
    if isinstance(who, RunIdentity) and who.namespace == namespace:
        return Hand(f"run:{who.namespace}/{who.name}", None, who.run_id)
    raise failures.refused(f"Nobody asked for a write in namespace {namespace}")
