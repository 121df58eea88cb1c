"""Fetching the code of a Run from git, at one commit, with its submodules and files in LFS.

A branch, tag or full commit is fetched alone (depth 1). What a server gives only by name, such
as an abbreviated commit, costs a full fetch. The commit is reported, so that every later
attempt of the Run names it and no attempt sees another. A submodule is a checkout like any
other, at the commit that is recorded for it.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from trainyard_agent import git_access, git_words, lfs, submodules, watched
from trainyard_agent.errors import SourceError
from trainyard_agent.git_access import shown
from trainyard_agent.paths import inside

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Checkout:
    """What to check out, and where.

    Attributes:
        path: Folder in the repository that must exist; empty for its root.
        credentials: Folder of a mounted Secret: `username` and `password` (or `token`), or
            `ssh-privatekey` with `known_hosts`.
        outer: Of a submodule: the URL of the repository that the Run names.
        silence: Seconds in which a command of git may print nothing and write nothing, for
            servers that are silent where git knows no limit of its own (git://, ssh).
    """

    url: str
    revision: str
    into: Path
    path: str = ""
    credentials: Path | None = None
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep
    environment: Mapping[str, str] = field(default_factory=dict)
    outer: str = ""
    silence: float = 600.0


def fetch(checkout: Checkout) -> str:
    """Check the revision out and return its commit.

    Raises:
        SourceError: The repository, the revision, the path, a submodule or a file in LFS is not
            to be had.
    """
    with tempfile.TemporaryDirectory() as scratch:
        environment = {
            **git_access.environment(checkout.url, checkout.credentials, scratch=Path(scratch)),
            **checkout.environment,
        }
        commit = _check_out(checkout, environment=environment)
    _check_path(checkout)
    return commit


def _check_out(checkout: Checkout, *, environment: Mapping[str, str]) -> str:
    for name, value in (("url", checkout.url), ("revision", checkout.revision)):
        if not value or value.startswith("-"):
            raise SourceError(f"source.git.{name} {value!r} is not usable", reason="InvalidSpec")
    checkout.into.mkdir(parents=True, exist_ok=True)
    _git(checkout, "init", "--quiet", environment=environment)
    commit = _fetch_commit(checkout, environment=environment)
    _git(checkout, "checkout", "--progress", "--detach", commit, environment=environment)
    checkout.say(f"checked out {checkout.revision} of {shown(checkout.url)} at {commit}")
    _fetch_large_files(checkout, environment=environment)
    _check_out_submodules(checkout, environment=environment)
    return commit


def _check_out_submodules(checkout: Checkout, *, environment: Mapping[str, str]) -> None:
    ask = partial(_git, checkout, environment=environment)
    for one in submodules.found(ask, base=checkout.url):
        into = inside(checkout.into, one.path)
        outer = checkout.outer or checkout.url
        below = replace(checkout, url=one.url, revision=one.commit, into=into, path="", outer=outer)
        try:
            _check_out(below, environment=environment)
        except SourceError as exc:
            said = f"submodule {shown(one.path)}: {exc.message}"
            raise SourceError(said, reason=exc.reason) from exc


def _fetch_large_files(checkout: Checkout, *, environment: Mapping[str, str]) -> None:
    ask = partial(_git, checkout, environment=environment)
    names = lfs.pointers(ask, checkout.into)
    if not names:
        return
    settings = {**lfs.SETTINGS, "remote.origin.url": checkout.url}
    able = git_access.with_settings(environment, settings)
    # What came of it before it broke off stays there.
    kept = checkout.into / ".git" / "lfs"
    result = _patiently(checkout, ["lfs", "pull", "origin"], environment=able, kept=kept)
    # The store of what was fetched would take as much room again, and hooks call for git-lfs.
    for name in ("lfs", "hooks"):
        shutil.rmtree(checkout.into / ".git" / name, ignore_errors=True)
    left = lfs.pointers(ask, checkout.into)
    if left:
        raise _not_given(checkout, left, result.stderr)
    checkout.say(f"fetched {len(names)} files from Git LFS of {shown(checkout.url)}")


def _not_given(checkout: Checkout, names: list[str], told: str) -> SourceError:
    what = lfs.said(names, checkout.url)
    if "is not a git command" in told:
        return SourceError(f"{what}, and there is no git-lfs in the agent's image: use a newer one")
    return SourceError(
        f"{what}, which did not give the content ({git_words.gist(told)}): see whether it was"
        " pushed, and whether spec.source.git.credentialsSecret may read it",
        reason=git_words.reason(told),
    )


def _fetch_commit(checkout: Checkout, *, environment: Mapping[str, str]) -> str:
    """Fetch the revision alone, or everything if the server does not give it alone."""
    alone = _fetch(checkout, checkout.revision, depth=1, environment=environment)
    if alone.returncode == 0:
        if commit := _resolved(checkout, "FETCH_HEAD", environment=environment):
            return commit
        said = f"revision {checkout.revision} of {shown(checkout.url)} is a file or a folder"
        raise SourceError(f"{said}, and is no commit: name one", reason="RevisionNotFound")
    checkout.say(f"{checkout.revision} is not given alone; fetching all branches and tags")
    refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    everything = _fetch(checkout, *refs, depth=None, environment=environment)
    if everything.returncode:
        raise _failed(checkout, everything)
    for name in (f"refs/remotes/origin/{checkout.revision}", checkout.revision):
        commit = _resolved(checkout, name, environment=environment)
        if commit:
            return commit
    names = _names(checkout, environment=environment)
    advice = "was it pushed?" if checkout.outer else "check spec.source.git.revision"
    if not names:
        advice = "was it pushed to, and is it a repository, not a page to log in at?"
    raise SourceError(
        f"revision {checkout.revision} not found in {shown(checkout.url)}"
        f" (it has: {names or 'no branch'}); {advice}",
        reason="RevisionNotFound",
    )


def _fetch(
    checkout: Checkout, *refs: str, depth: int | None, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    # What it prints of its progress is the sign of life of a server that packs for an hour.
    arguments = ["fetch", "--progress", "--no-recurse-submodules"]
    if depth:
        arguments += [f"--depth={depth}", "--no-tags"]
    arguments += ["--", checkout.url, *refs]
    result = _patiently(checkout, arguments, environment=environment)
    if result.returncode and git_words.is_final(result):
        raise _failed(checkout, result)
    return result


def _patiently(
    checkout: Checkout,
    arguments: list[str],
    *,
    environment: Mapping[str, str],
    kept: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run git again while its server is away.

    Args:
        kept: Folder with what a try leaves for the next: one that got further counts for none.
    """
    attempt, furthest = 0, 0
    while True:
        result = _run(checkout, arguments, environment=environment)
        told = result.stderr
        reached = watched.there(kept)[1] if kept else 0
        attempt = 1 if reached > furthest else attempt + 1
        furthest = max(reached, furthest)
        if result.returncode == 0 or attempt == _ATTEMPTS or not git_words.is_worth_another(told):
            return result
        pause = 2.0**attempt
        checkout.say(f"{git_words.gist(told)}; trying again in {pause:g} s")
        checkout.sleep(pause)


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
    return ", ".join(names[:10]) + more


def _check_path(checkout: Checkout) -> None:
    if set(checkout.path.split("/")) <= {"", "."}:
        return  # the root, as an absent one
    if inside(checkout.into, checkout.path).is_dir():
        return
    folders = sorted(p.name for p in checkout.into.iterdir() if p.is_dir() and p.name != ".git")
    raise SourceError(
        f"path {checkout.path} is no folder of {shown(checkout.url)} at {checkout.revision}"
        f" (its folders: {', '.join(folders[:10]) or 'none'}); check spec.source.git.path",
        reason="PathNotFound",
    )


def _git(checkout: Checkout, *arguments: str, environment: Mapping[str, str]) -> str:
    result = _run(checkout, arguments, environment=environment)
    if result.returncode:
        raise _failed(checkout, result)
    return result.stdout


def _run(
    checkout: Checkout,
    arguments: "list[str] | tuple[str, ...]",
    *,
    environment: Mapping[str, str],
) -> "subprocess.CompletedProcess[str]":
    git = shutil.which("git")
    if git is None:
        raise SourceError("there is no git in this image", reason="StartFailed")
    # url and revision are after -- and never start with -
    command = [git, "-C", str(checkout.into), *arguments]
    try:
        return watched.run(
            command,
            folder=checkout.into,
            environment=environment,
            silence=checkout.silence,
            say=checkout.say,
        )
    except watched.Silent:
        raise SourceError(
            f"git {arguments[0]} printed and wrote nothing for {checkout.silence:g} s, and was"
            f" ended: is {shown(checkout.url)} there, and does it answer?",
            reason=git_words.UNAVAILABLE,
        ) from None


def _failed(checkout: Checkout, result: "subprocess.CompletedProcess[str]") -> SourceError:
    return git_words.failure(
        result, url=checkout.url, revision=checkout.revision, outer=checkout.outer
    )
