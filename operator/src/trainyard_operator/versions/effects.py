"""What is asked of the API server for a ModelVersion, besides its children.

Descriptions only; performers.py makes the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_operator.engine.plan import Effect, Ref


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer(Effect):
    """Let an object that is being deleted go. Already gone is fine."""

    ref: Ref
    finalizer: str


@dataclass(frozen=True, slots=True)
class HoldVersion(Effect):
    """Tie a ModelVersion to its Model, and hold it back until its number is retired.

    Attributes:
        owner: The controller reference that it shall carry, beside those that it has.
    """

    ref: Ref
    owner: Mapping[str, object]
