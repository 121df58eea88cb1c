"""What is asked of others for a Model: the promoter's write, a note, and the audit trail.

Descriptions only; performers.py makes the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainyard_operator.engine.plan import Effect, Ref


@dataclass(frozen=True, slots=True)
class SetAlias(Effect):
    """Write spec.aliases.<alias> of a Model by server-side apply, unforced, as the promoter.

    An alias owned by another field manager is Retry("AliasOwnedElsewhere") naming it.

    Attributes:
        uid: The Model that is meant: apply creates what is missing, and a Model that was
            deleted meanwhile must not come back without its stages.
        aliases: All aliases that the promoter shall own afterwards: it gives up what is absent.
        spec: Other spec fields to write with it, such as promoters.
    """

    namespace: str
    model: str
    uid: str
    aliases: Mapping[str, int]
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoteRetired(Effect):
    """Write the highest retired number on the Model itself: a backup may leave out its status."""

    ref: Ref
    highest: int


@dataclass(frozen=True, slots=True)
class Audit(Effect):
    """Append one line to a Model's audit trail.

    Attributes:
        line: JSON values only; `time` (RFC 3339) and `id` make the object's name, so the same
            line written twice is one object.
    """

    condition: str = field(default="Audited", kw_only=True)

    namespace: str
    model: str
    line: Mapping[str, Any] = field(default_factory=dict)
