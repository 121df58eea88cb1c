"""What can go wrong in the agent, as errors that a pod can report.

AgentError(reason, message)
├── SourceError      the code or model asked for is not there or is unusable: user's to fix
├── RefusedError     the Model's rules refuse the format, or the tracking service the files: final
└── TransportError   the tracking service could not be reached in time: time's to fix
"""

import errno

NO_ROOM = "VolumeFailed"
"""The pod's volume takes no more: its node's fault, not the code's."""
_OF_VOLUMES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class AgentError(Exception):
    """A failure with a reason for machines and a one-line message for people."""

    reason = "AgentFailed"
    exit_code = 1

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason


class SourceError(AgentError):
    """What was to be fetched does not exist, is damaged or is not allowed in a pod."""

    reason = "SourceFailed"
    exit_code = 2


class RefusedError(AgentError):
    """The files are refused as they are: another attempt would end the same."""

    reason = "FormatNotAllowed"
    exit_code = 3


class TransportError(AgentError):
    """The tracking service did not answer, or not as agreed."""

    reason = "TrackingUnavailable"
    exit_code = 4


def of_system(exc: OSError, where: str = "") -> tuple[str, str]:
    """Return what to say of a failure of files, and its reason; empty for the ordinary one."""
    told = f"{exc.filename or where or 'the pod'}: {exc.strerror or exc}"
    if exc.errno not in _OF_VOLUMES:
        return told, ""
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        told += ": ask for more in resources.requests.ephemeral-storage, or make it smaller"
    return told, NO_ROOM
