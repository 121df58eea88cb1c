"""The operator's expected failures. Anything else that is raised is a bug.

    OperatorError(reason, message)
    ├── Terminal            the user must change something; never tried again by itself
    ├── Retry(after)        time mends it; tried again after `after`, or with back-off
    │   ├── Unavailable     a service does not answer, or is in no state to: told once it lasts
    │   │   ├── Unheard     nothing answers, or is too busy to look at what it is asked
    │   │   └── Expired     a version of a collection that the server has forgotten: list anew
    │   ├── NameTaken       another's object has the name that a child needs
    │   └── NotYet          what is needed is on its way, and wakes the resource when it is there
    ├── Conflict            the object changed (or is another by now) since it was read
    ├── NotFound            there is no such object
    └── LeaseLost           another replica leads: this process must end at once

Raised by kube.py, tracking.py and kinds; caught in reconcile.py alone, which
turns Terminal and Retry into conditions. The message is for the user: what, where, and the fix.
"""

# ruff: noqa: N818  # they are outcomes (`raise Retry(…)`), and read better without "Error"

from datetime import timedelta


class OperatorError(Exception):
    """An expected failure with a condition's reason and a sentence for the user."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Terminal(OperatorError):
    """The user must change something: do not try again until the resource changes."""


class Retry(OperatorError):
    """Time mends it.

    Args:
        after: When to look again; None leaves it to the queue's exponential back-off.
    """

    def __init__(self, reason: str, message: str, after: timedelta | None = None) -> None:
        super().__init__(reason, message)
        self.after = after


class Unavailable(Retry):
    """A service does not answer, or is in no state to; most often it does a moment later."""


class Unheard(Unavailable):
    """Nothing answers, or is too busy to look: that says nothing about what was asked for."""


class Expired(Unavailable):
    """The API server has forgotten the version that was asked for."""


class NameTaken(Retry):
    """Another's object has the name that a child needs."""


class NotYet(Retry):
    """What is needed is on its way, and wakes the resource when it is there: that is no news."""


class Conflict(OperatorError):
    """The object changed since it was read, or another holds the field (server-side apply)."""


class NotFound(OperatorError):
    """There is no such object."""


class LeaseLost(OperatorError):
    """Another replica leads."""


def told(exc: BaseException) -> str:
    """Return what an exception says; a time-out says nothing, so then what it is."""
    return str(exc) or type(exc).__name__
