"""Who waits for a prediction, as the data plane sees them."""

from dataclasses import dataclass
from typing import Protocol


class Caller(Protocol):
    """Who waits for an answer."""

    @property
    def gone(self) -> bool:
        """Say whether nobody will read an answer any more."""


@dataclass(frozen=True, slots=True)
class Present:
    """A caller that stays."""

    gone: bool = False


PRESENT = Present()
