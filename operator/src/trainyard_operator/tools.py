"""What performers work with."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.world import World
from trainyard_operator.runs.effects import FollowLog
from trainyard_operator.tracking import TrackingClient


class Logs(Protocol):
    """Who follows pods' logs: logs.LogKeeper, or a fake."""

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""

    def is_complete(self, call: FollowLog) -> bool:
        """See to it that the log of an ended attempt is shipped, or its tail kept; tell if so."""

    def is_following(self, run_id: str) -> bool:
        """Tell whether a log of a Run is still on its way."""

    def tails(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Return what is not shipped yet of the logs of a Run, to go with its end."""

    def append_tails(self, run_id: str) -> bool:
        """Have the tails of a Run's logs appended; tell whether there were any."""

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record, and its tails."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What performers work with.

    Attributes:
        turn: Held while a model server is told to restart in turn.
    """

    kube: Kube
    world: World
    tracking: TrackingClient
    logs: Logs
    experiments: dict[str, str] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
