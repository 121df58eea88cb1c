"""Real git repositories in folders, and checkouts of them as the agent makes them."""

import subprocess
from pathlib import Path
from typing import Any

from trainyard_agent.git import Checkout

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin:/usr/local/bin",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
}
FILES_ALLOWED = {"GIT_ALLOW_PROTOCOL": "file"}
"""The agent's git never reads repositories in its own pod; the tests have no others."""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**_ENVIRONMENT, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def repository(folder: Path, files: dict[str, str]) -> Path:
    """Make a repository with one commit on `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, files)
    return folder


def commit(folder: Path, files: dict[str, str]) -> str:
    """Commit files, with all else that lies there, and return the commit."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "Another")
    return git(folder, "rev-parse", "HEAD")


def add_submodule(outer: Path, inner: Path, path: str, *, url: str = "") -> None:
    """Add a repository to another, as cloned from a URL or from where it is."""
    git(outer, "submodule", "--quiet", "add", f"file://{inner}", path)
    git(outer, "config", "-f", ".gitmodules", f"submodule.{path}.url", url or f"file://{inner}")
    commit(outer, {})


def checkout(repository: Path, into: Path, revision: str = "main", **more: Any) -> Checkout:
    """Describe a checkout of a repository that waits for nothing."""
    settled = {
        "url": f"file://{repository}",
        "say": lambda line: None,
        "sleep": lambda seconds: None,
        "environment": FILES_ALLOWED,
        **more,
    }
    return Checkout(revision=revision, into=into, **settled)
