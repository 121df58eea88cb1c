"""What can go wrong, each with its remedy; nothing here talks to a cluster.

TrainyardError                 the base: str() is one sentence, `fix` what to do about it
├── InvalidInput               an argument, a file or a parameter: the caller mends it
├── ApiError                   the API server or the tracking service answered with an error
│   ├── Forbidden              401, 403: a right or a login is missing
│   ├── NotFound               404: no such resource, or the CRDs are not installed
│   ├── Conflict               409: it exists already, or somebody was faster
│   └── Refused                422, 400: a field breaks a rule
├── Unreachable                no answer: kubeconfig, network, or the service is down
├── TimedOut                   a wait ended before the condition
└── Rejected                   the cluster said no to what was asked: a gate, a failed publishing
"""

# ruff: noqa: N818  # NotFound and TimedOut say what happened; the base is the one named Error

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class TrainyardError(Exception):
    """Base of all errors that this package raises on purpose."""

    passing = False
    """Whether it may pass by itself: nobody answered, or had no time."""
    unsent = False
    """Whether the request certainly changed nothing: it never got there, or was turned away."""
    doubtful = False
    """Whether an earlier try of the same request may have been carried out unanswered."""
    progress = False
    """Whether the request got some way that a repeat of it need not go again."""
    retry_after = 0.0
    """How many seconds the server asks to wait."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}. {self.fix}" if self.fix else self.message


class InvalidInput(TrainyardError):
    """What the caller gave cannot work; nothing was sent."""


class ApiError(TrainyardError):
    """A server answered with an error; `status` is the HTTP status code."""

    def __init__(self, message: str, *, fix: str = "", status: int = 0, reason: str = "") -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.reason = reason


class Forbidden(ApiError):
    """The caller is not known, or lacks a right."""


class NotFound(ApiError):
    """There is no such resource."""


class Conflict(ApiError):
    """The resource exists already, or was changed meanwhile."""


class Refused(ApiError):
    """The request breaks a rule of the API; `message` names the field."""


class Unreachable(TrainyardError):
    """Nobody answered."""

    passing = True


class TimedOut(TrainyardError):
    """The wait is over, the condition did not come."""


class Rejected(TrainyardError):
    """The cluster understood and said no."""


def from_response(
    status: int, body: Mapping[str, Any], *, what: str, retry_after: str = "", where: str = ""
) -> ApiError:
    """Translate an error answer of the API server (a `Status`) or of the tracking service.

    Args:
        status: the HTTP status code.
        body: the decoded JSON body, or an empty mapping.
        what: the attempt in words that continue "cannot", such as "create Run digits".
        retry_after: the header of this name; a date in it counts as none.
        where: the options by which a command finds what was asked, as ` -n team`.
    """
    # The model server says `error`, FastAPI-like services `detail`.
    words = (body.get(key) for key in ("message", "error", "detail", "error_code"))
    said = str(next(filter(None, words), f"HTTP {status}")).rstrip(".")
    reason = str(body.get("reason") or body.get("error_code") or "")
    make = _BY_STATUS.get(status, _other)
    error = make(_Answer(what, said, status, reason, body, where))
    error.passing = _is_passing(status, body, said)
    error.unsent = status == 429
    error.retry_after = float(retry_after) if retry_after.isdecimal() else 0.0
    return error


def _is_passing(status: int, body: Mapping[str, Any], said: str) -> bool:
    """Tell whether a later try may fare better: the server is busy or away, not the request bad."""
    if status == 500:
        # Of the API server: its database elects a leader, a webhook's pod moves.
        return body.get("kind") == "Status"
    return status in {429, 502, 503, 504} and "no endpoints available" not in said


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of an error answer; the fields are `from_response`'s."""

    what: str
    said: str
    status: int
    reason: str
    body: Mapping[str, Any]
    where: str

    def made(self, kind: type[ApiError], said: str, fix: str, *, reason: str = "") -> ApiError:
        """Return the error that says *said* of the attempt."""
        said = f"Cannot {self.what}: {said}"
        return kind(said, fix=fix, status=self.status, reason=reason or self.reason)


def _login_missing(answer: _Answer) -> ApiError:
    return answer.made(
        Forbidden,
        f"the cluster does not accept your login ({answer.said})",
        "Log in again, or choose another context with --context; `trainyard doctor"
        f"{answer.where}` checks it",
    )


def _right_missing(answer: _Answer) -> ApiError:
    return answer.made(
        Forbidden,
        answer.said,
        "Whoever administers the namespace grants it with a RoleBinding to one of the chart's"
        " roles: trainyard-viewer (read), trainyard-scientist (run, register, serve) or"
        " trainyard-approver (promote)",
    )


def _missing(answer: _Answer) -> ApiError:
    details = answer.body.get("details") or {}
    if "the server could not find the requested resource" in answer.said and not details.get(
        "name"
    ):
        return answer.made(
            NotFound,
            "this cluster has no Trainyard resources",
            "Install the chart (helm install trainyard charts/trainyard -n trainyard-system"
            " --create-namespace), or choose another cluster with --context",
            reason="NotInstalled",
        )
    return answer.made(NotFound, answer.said, _where_to_look(answer, details.get("kind", "")))


def _where_to_look(answer: _Answer, kind: str) -> str:
    if kind == "namespaces" or answer.said.startswith("namespaces "):
        return "Choose another namespace with -n, or have this one made: kubectl create namespace"
    listing = f"`trainyard get {kind}" if kind in _KINDS else "`trainyard status"
    verb = "lists" if kind in _KINDS else "shows"
    return f"{listing}{answer.where}` {verb} what there is; -n chooses another namespace"


def _conflict(answer: _Answer) -> ApiError:
    exists = answer.reason == "AlreadyExists"
    fix = (
        "Choose another name, or leave it out and get a fresh one"
        if exists
        else "Somebody else changed it meanwhile: look at it again and repeat"
    )
    return answer.made(Conflict, answer.said, fix)


_NO_FIELD = "<nil>"
"""Where the API server says, beside what is wrong, that it looked no further."""


def _refused(answer: _Answer) -> ApiError:
    causes = (answer.body.get("details") or {}).get("causes") or []
    told = "; ".join(
        f"{cause.get('field') or 'the request'}: {cause.get('message', '')}".rstrip(".")
        for cause in causes
        if cause.get("field") != _NO_FIELD or len(causes) == 1
    )
    return answer.made(Refused, told or answer.said, "Mend the field and try again" if told else "")


def _other(answer: _Answer) -> ApiError:
    down = answer.status in {502, 503, 504}
    doctor = f"`trainyard doctor{answer.where}`"
    fix = f"The service may be starting: try again, then {doctor}" if down else ""
    return answer.made(ApiError, answer.said, fix)


_KINDS = {"experiments", "runs", "models", "modelversions", "modeldeployments"}
_BY_STATUS = {
    400: _refused,
    401: _login_missing,
    403: _right_missing,
    404: _missing,
    409: _conflict,
    422: _refused,
}
