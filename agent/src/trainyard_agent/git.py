"""Fetching the code of a Run from git, at one commit.

A branch, tag or full commit is fetched alone (depth 1). What a server gives only by name, such
as an abbreviated commit, costs a full fetch. The commit is reported, so that every later
attempt of the Run names it and no attempt sees another.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard_agent.errors import SourceError
from trainyard_agent.paths import inside

_ATTEMPTS = 4
_TRANSIENT = re.compile(
    r"could not resolve host|connection (refused|reset|timed out)|failed to connect|timed out"
    r"|early eof|the remote end hung up|returned error: (429|5\d\d)|unexpected disconnect",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"authentication failed|could not read username|could not read password|permission denied"
    r"|terminal prompts disabled|returned error: 40[13]|host key verification failed",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"repository .* not found|does not appear to be a git repository|returned error: 404"
    r"|does not exist",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """What to check out, and where.

    Attributes:
        path: Folder in the repository that must exist; empty for its root.
        credentials: Folder of a mounted Secret: `username` and `password` (or `token`), or
            `ssh-privatekey` with `known_hosts`.
    """

    url: str
    revision: str
    into: Path
    path: str = ""
    credentials: Path | None = None
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep
    environment: Mapping[str, str] = field(default_factory=dict)


def fetch(checkout: Checkout) -> str:
    """Check the revision out and return its commit.

    Raises:
        SourceError: The repository, the revision or the path is not to be had.
    """
    for name, value in (("url", checkout.url), ("revision", checkout.revision)):
        if not value or value.startswith("-"):
            raise SourceError(f"source.git.{name} {value!r} is not usable", reason="InvalidSpec")
    checkout.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        environment = _environment(checkout, scratch=Path(scratch))
        _git(checkout, "init", "--quiet", environment=environment)
        commit = _fetch_commit(checkout, environment=environment)
        _git(checkout, "checkout", "--quiet", "--detach", commit, environment=environment)
    _check_path(checkout)
    checkout.say(f"checked out {checkout.revision} of {checkout.url} at {commit}")
    return commit


def _fetch_commit(checkout: Checkout, *, environment: Mapping[str, str]) -> str:
    """Fetch the revision alone, or everything if the server does not give it alone."""
    alone = _fetch(checkout, checkout.revision, depth=1, environment=environment)
    if alone.returncode == 0:
        return _resolved(checkout, "FETCH_HEAD", environment=environment)
    checkout.say(f"{checkout.revision} is not given alone; fetching all branches and tags")
    refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    everything = _fetch(checkout, *refs, depth=None, environment=environment)
    if everything.returncode:
        raise _failed(checkout, everything.stderr)
    for name in (f"refs/remotes/origin/{checkout.revision}", checkout.revision):
        commit = _resolved(checkout, name, environment=environment)
        if commit:
            return commit
    raise SourceError(
        f"revision {checkout.revision} not found in {_shown(checkout.url)}"
        f" (it has: {_names(checkout, environment=environment)}); check spec.source.git.revision",
        reason="RevisionNotFound",
    )


def _fetch(
    checkout: Checkout, *refs: str, depth: int | None, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    arguments = ["fetch", "--quiet", "--no-recurse-submodules"]
    if depth:
        arguments += [f"--depth={depth}", "--no-tags"]
    for attempt in range(1, _ATTEMPTS + 1):
        result = _run(checkout, [*arguments, "--", checkout.url, *refs], environment=environment)
        told = result.stderr
        if result.returncode == 0:
            return result
        if _DENIED.search(told) or (_ABSENT.search(told) and not _TRANSIENT.search(told)):
            raise _failed(checkout, told)
        if attempt == _ATTEMPTS or not _TRANSIENT.search(told):
            return result
        pause = 2.0**attempt
        checkout.say(f"{_last_line(told)}; trying again in {pause:g} s")
        checkout.sleep(pause)
    raise AssertionError("unreachable")


def _resolved(checkout: Checkout, name: str, *, environment: Mapping[str, str]) -> str:
    result = _run(
        checkout,
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
        environment=environment,
    )
    return result.stdout.strip().splitlines()[-1] if result.returncode == 0 else ""


def _names(checkout: Checkout, *, environment: Mapping[str, str]) -> str:
    result = _run(
        checkout,
        ["for-each-ref", "--format=%(refname:lstrip=-1)", "refs/remotes", "refs/tags"],
        environment=environment,
    )
    names = sorted(set(result.stdout.split()) - {"HEAD"})
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (", ".join(names[:10]) or "no branch") + more


def _check_path(checkout: Checkout) -> None:
    if not checkout.path:
        return
    if inside(checkout.into, checkout.path).is_dir():
        return
    folders = sorted(p.name for p in checkout.into.iterdir() if p.is_dir() and p.name != ".git")
    raise SourceError(
        f"path {checkout.path} is no folder of {_shown(checkout.url)} at {checkout.revision}"
        f" (its folders: {', '.join(folders[:10]) or 'none'}); check spec.source.git.path",
        reason="PathNotFound",
    )


def _git(checkout: Checkout, *arguments: str, environment: Mapping[str, str]) -> None:
    result = _run(checkout, arguments, environment=environment)
    if result.returncode:
        raise _failed(checkout, result.stderr)


def _run(
    checkout: Checkout,
    arguments: "list[str] | tuple[str, ...]",
    *,
    environment: Mapping[str, str],
) -> "subprocess.CompletedProcess[str]":
    git = shutil.which("git")
    if git is None:
        raise SourceError("there is no git in this image", reason="StartFailed")
    return subprocess.run(  # noqa: S603  # url and revision are after -- and never start with -
        [git, "-C", str(checkout.into), *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def _environment(checkout: Checkout, *, scratch: Path) -> dict[str, str]:
    settings = {"safe.directory": "*", "init.defaultBranch": "main", "advice.detachedHead": "false"}
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(scratch),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
        **checkout.environment,
    }
    if checkout.credentials is not None:
        _add_credentials(checkout.credentials, scratch=scratch, to=environment, settings=settings)
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for index, (key, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


def _add_credentials(
    folder: Path, *, scratch: Path, to: dict[str, str], settings: dict[str, str]
) -> None:
    key = folder / "ssh-privatekey"
    if key.is_file():
        # ssh refuses a key that others can read, and a mounted Secret is group-readable.
        private = scratch / "key"
        private.write_bytes(key.read_bytes().rstrip() + b"\n")
        private.chmod(0o600)
        hosts = folder / "known_hosts"
        checking = (
            f"-o UserKnownHostsFile={hosts} -o StrictHostKeyChecking=yes"
            if hosts.is_file()
            else "-o StrictHostKeyChecking=accept-new"
        )
        to["GIT_SSH_COMMAND"] = f"ssh -i {private} -o IdentitiesOnly=yes {checking}"
        return
    secret = next((folder / n for n in ("password", "token") if (folder / n).is_file()), None)
    if secret is None:
        raise SourceError(
            "the Secret of source.git.credentialsSecret has neither password, token nor"
            " ssh-privatekey: add one of these keys",
            reason="ConfigMissing",
        )
    user = folder / "username"
    # The helper reads the files itself: secrets stay out of arguments and environment.
    name = f"cat '{user}'" if user.is_file() else "echo x-access-token"
    settings["credential.helper"] = (
        f'!f() {{ echo "username=$({name})"; echo "password=$(cat \'{secret}\')"; }}; f'
    )


def _failed(checkout: Checkout, told: str) -> SourceError:
    url = _shown(checkout.url)
    if _DENIED.search(told):
        return SourceError(
            f"{url} refused access ({_last_line(told)}): name a Secret with username and"
            " password, token or ssh-privatekey in spec.source.git.credentialsSecret",
            reason="AccessDenied",
        )
    if _ABSENT.search(told):
        return SourceError(f"{url} is no git repository: check spec.source.git.url")
    return SourceError(f"git could not fetch {checkout.revision} from {url}: {_last_line(told)}")


def _shown(url: str) -> str:
    """Return the URL without a password that someone wrote into it."""
    return re.sub(r"//[^/@]*@", "//", url)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return _shown((fatal or lines or ["no message"])[0])
