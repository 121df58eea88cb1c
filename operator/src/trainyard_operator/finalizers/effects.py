"""What is asked of the API server for an object that must not go too soon.

Descriptions only; performers.py makes the calls.
"""

from dataclasses import dataclass

from trainyard_operator.engine.plan import Effect, Ref


@dataclass(frozen=True, slots=True)
class Hold(Effect):
    """Hold an object back, once it is deleted, until ReleaseFinalizer.

    An object that is being deleted already is left alone: nothing can hold it any more.

    Attributes:
        disown: UIDs of owners that are taken off: the garbage collector deletes what is left
            without any, and an owner that was restored from a backup has another UID.
    """

    ref: Ref
    finalizer: str
    disown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer(Effect):
    """Let an object that is being deleted go. Already gone is fine."""

    ref: Ref
    finalizer: str
