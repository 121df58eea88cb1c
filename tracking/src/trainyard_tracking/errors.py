"""The errors of the tracking service, and how they look on the wire.

TrackingError
├── BadSettings        the installation is wrong; the process ends with the message
└── Refused            one request is; has a status and MLflow's kind of error code
    ├── Unauthenticated     401
    ├── Forbidden           403
    ├── NotFound            404
    ├── NoRoute             404, in the word on which clients ask an older route
    ├── Conflict            409
    ├── TooLarge            413
    ├── TooBroad            400, a question that takes the database too long
    ├── Unsatisfiable       416
    ├── Unprocessable       422
    ├── NotSupported        501
    ├── Unavailable         503, and when to ask again
    └── Busy                429, and when to ask again
"""

import random
from typing import ClassVar

_AGAIN = range(2, 9)


class TrackingError(Exception):
    """Anything that this service raises on purpose."""


class BadSettings(TrackingError):  # noqa: N818  # reads as a reason, as Terminal and Retry do
    """The environment of the process can't work."""


class Refused(TrackingError):  # noqa: N818  # an answer, not a fault
    """One request can't be done; the message says what to do instead."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "INVALID_PARAMETER_VALUE"
    passes: ClassVar[bool] = False
    """Whether the same may be asked again: it says nothing about what was asked for."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer, which has MLflow's form."""
        return {}


class Unauthenticated(Refused):
    """Nobody, or somebody we can't believe."""

    status = 401
    code = "UNAUTHENTICATED"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Refused):
    """Known, but not allowed."""

    status = 403
    code = "PERMISSION_DENIED"


class NotFound(Refused):
    """No such thing in this namespace."""

    status = 404
    code = "RESOURCE_DOES_NOT_EXIST"


class NoRoute(Refused):
    """A route of MLflow's that this service does not have; clients know others for some."""

    status = 404
    code = "ENDPOINT_NOT_FOUND"


class Conflict(Refused):
    """Somebody was faster."""

    status = 409
    code = "RESOURCE_CONFLICT"


class TooLarge(Refused):
    """More than we take into memory."""

    status = 413
    code = "INVALID_PARAMETER_VALUE"


class TooBroad(Refused):
    """A question whose answer would take the database too long.

    A 408 or 504 would fit, but MLflow's clients repeat those, and it would take as long again.
    """


class Unsatisfiable(Refused):
    """A range of a file that ends before."""

    status = 416

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self.size}"}


class Unprocessable(Refused):
    """The content is not what its name says."""

    status = 422
    code = "INVALID_PARAMETER_VALUE"


class NotSupported(Refused):
    """A part of MLflow's API that clients know how to do without; the words are MLflow's."""

    status = 501
    code = "NOT_IMPLEMENTED"


class Unavailable(Refused):
    """Something that we need is down; trying again is right."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"
    passes = True

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(random.choice(_AGAIN))}  # noqa: S311  # spreads only


class Lost(Unavailable):
    """What came of a file is gone from the object store: it must be sent anew."""


class NoDatabase(Unavailable):
    """The database does not answer, or has no connection left."""


class Busy(Refused):
    """More is asked than can be answered; nothing was done.

    Not a 503: that may come after a write, so that MLflow's clients from 3.18 on send none again.
    """

    status = 429
    code = "RESOURCE_EXHAUSTED"
    passes = True

    def __init__(self, message: str, again: int) -> None:
        super().__init__(message)
        self.again = again
        """After how many seconds to ask again."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.again)}
