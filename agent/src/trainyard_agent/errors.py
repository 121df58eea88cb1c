"""What can go wrong in the agent, as errors that a pod can report.

AgentError(reason, message)
├── SourceError      the code or model asked for is not there or is unusable: user's to fix
├── RefusedError     the Model's rules refuse the format, or the tracking service the files: final
└── TransportError   the tracking service could not be reached in time: time's to fix
"""


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
