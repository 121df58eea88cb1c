"""The errors of the model server. No HTTP here: `web/answers.py` maps them to status codes.

ServingError
├── BadInput            the caller must fix the request; names the field and the row
├── UnsupportedMedia    the content type is not one we read
├── UnknownModel        this server has another model, or another version
├── ModelFailed         the model raised on well-typed input
├── BadOutput           the model returned what cannot be written as JSON
├── NotReady            still loading, or draining; time fixes it
├── Overloaded          too many requests wait; time fixes it
└── Abandoned           the caller has gone: nobody reads this
LoadError               the model can't be served: the process ends with this as reason
SourceUnavailable       the tracking service doesn't answer; ask again later
"""

# ruff: noqa: N818  # these are named for what happened, not for being errors


class ServingError(Exception):
    """What a request can end with. The message is for the caller."""


class BadInput(ServingError):
    """Input that does not fit; `field` and `row` say where."""

    def __init__(self, message: str, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.row = row

    def __str__(self) -> str:
        where = [] if self.field is None else [f"{self.field!r}"]
        if self.row is not None:
            where.append(f"row {self.row}")
        prefix = ", ".join(where)
        return f"{prefix}: {self.args[0]}" if prefix else str(self.args[0])


class UnsupportedMedia(ServingError):
    """The body is in a format that this server does not read."""


class UnknownModel(ServingError):
    """Another model or version was asked for."""


class ModelFailed(ServingError):
    """The model raised; the message names the row when one row did it."""


class BadOutput(ServingError):
    """The model's answer can't be encoded."""


class NotReady(ServingError):
    """No model yet, or no longer."""


class Overloaded(ServingError):
    """The queue is full, or its head came too late."""


class Abandoned(ServingError):
    """The caller has gone."""


class LoadError(Exception):
    """The model can't be fetched, verified or loaded. One line, for a human."""


class SourceUnavailable(Exception):
    """The place the model comes from is down; the same request may succeed later."""


def told(exc: BaseException) -> str:
    """Return an exception in one line. Its own `__str__` may fail: it is somebody's code."""
    try:
        text = f"{' '.join(str(exc).split()):.500}"
    except BaseException:  # noqa: BLE001  # see above
        text = ""
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
