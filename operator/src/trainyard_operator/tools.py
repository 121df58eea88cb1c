"""What performers work with."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.world import World
from trainyard_operator.runs.effects import FollowLog
from trainyard_operator.tracking import TrackingClient


class Logs(Protocol):
    """Who follows pods' logs: logs.LogKeeper, or a fake."""

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""

    def is_complete(self, call: FollowLog) -> bool:
        """Tell whether all of the log of an attempt that has ended is shipped; sees to it."""

    def is_following(self, run_id: str) -> bool:
        """Tell whether a log of a Run is still on its way."""

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record."""


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
