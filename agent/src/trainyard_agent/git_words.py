"""What git's words mean: whose fault an end is, and what of it is told. Pure.

Progress is printed with the rest, and is no reason for anything.
"""

import re
import subprocess

from trainyard_agent.errors import NO_ROOM, SourceError
from trainyard_agent.git_access import shown

UNAVAILABLE = "SourceUnavailable"
"""The server is away or busy: another attempt may find it."""

_SLOW = re.compile(r"operation too slow", re.IGNORECASE)
_TRANSIENT = re.compile(
    r"could not resolve host|connection (refused|reset|timed out|closed|was reset|abort)"
    r"|failed to connect|timed out|early eof|the remote end hung up|returned error: (429|5\d\d)"
    r"|unexpected disconnect|unexpected eof|no route to host|network is unreachable"
    r"|temporary failure|recv (failure|error)|empty reply|rpc failed; curl|not closed cleanly"
    # What git-lfs says.
    r"|no such host|i/o timeout|tls handshake timeout|server error: |rate limit exceeded"
    r"|transport connection broken|stream error",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"authentication failed|could not read username|could not read password|permission denied"
    r"|terminal prompts disabled|returned error: 40[13]|host key verification failed"
    r"|authorization error|bad credentials",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"repository (.* )?not found|does not appear to be a git repository|returned error: 404"
    r"|does not exist",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"no space left on device|disk quota exceeded|input/output error|read-only file system",
    re.IGNORECASE,
)
_LONGEST = 600
_KILLED = re.compile(r"died of signal 9\b")
_PROGRESS = re.compile(r"(remote: )?[A-Z][A-Za-z ]+: +\d|remote: Total ")


def is_final(result: "subprocess.CompletedProcess[str]") -> bool:
    """Tell whether no other way of asking would help."""
    told = result.stderr
    if _was_killed(result):
        return True
    absent = _ABSENT.search(told) and not _TRANSIENT.search(told)
    return bool(_DENIED.search(told) or _FULL.search(told) or absent)


def is_worth_another(told: str) -> bool:
    """Tell whether the same may succeed in seconds; a server that was silent had minutes."""
    is_settled = _DENIED.search(told) or _SLOW.search(told)
    return not is_settled and bool(_TRANSIENT.search(told))


def reason(told: str) -> str:
    """Return the reason for machines; empty for the ordinary one."""
    if _DENIED.search(told):
        return "AccessDenied"
    if _FULL.search(told):
        return NO_ROOM
    return UNAVAILABLE if _TRANSIENT.search(told) or _SLOW.search(told) else ""


def failure(
    result: "subprocess.CompletedProcess[str]", *, url: str, revision: str, outer: str
) -> SourceError:
    """Say what is wrong with what git did, and what to do.

    Args:
        outer: Of a submodule: the URL of the repository that the Run names.
    """
    told, there = result.stderr, shown(url)
    why = reason(told)
    if why == "AccessDenied":
        advice = (
            f"credentials go to the server of {shown(outer)} only, and must be good for"
            " this one as well; the url in .gitmodules had best be relative"
            if outer
            else "name a Secret with username and password, token or ssh-privatekey in"
            " spec.source.git.credentialsSecret"
        )
        return SourceError(f"{there} refused access ({gist(told)}): {advice}", reason=why)
    if _was_killed(result):
        return SourceError(
            f"git was killed while it fetched {revision} from {there}, for memory perhaps: raise"
            " resources.limits.memory"
        )
    if _ABSENT.search(told) and not why:
        field = "its url in .gitmodules" if outer else "spec.source.git.url"
        return SourceError(f"{there} is no git repository: check {field}")
    return SourceError(f"git could not fetch {revision} from {there}: {gist(told)}", reason=why)


def _was_killed(result: "subprocess.CompletedProcess[str]") -> bool:
    """Tell whether git, or a helper of its, was killed: the node has more memory for neither."""
    return result.returncode < 0 or bool(_KILLED.search(result.stderr))


def gist(text: str) -> str:
    """Return the line that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    others = [line for line in lines if not _PROGRESS.match(line)]
    return shown((fatal or others or lines or ["no message"])[0])[:_LONGEST]
