"""Files that a repository keeps in Git LFS: a checkout has pointers, a program needs content."""

from collections.abc import Callable
from pathlib import Path

from trainyard_agent.git_access import shown

_POINTER = b"version https://git-lfs.github.com/spec/"
_TRACKED = ":(attr:filter=lfs)"

# What `git lfs install` would write, without which it leaves pointers in place.
SETTINGS = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}


def pointers(ask: Callable[..., str], folder: Path) -> list[str]:
    """List the files that are pointers.

    Args:
        ask: Runs git in the checkout and returns what it prints.
    """
    listed = ask("ls-files", "-z", "--", _TRACKED).split("\0")
    return [name for name in listed if name and _is_pointer(folder / name)]


def said(names: list[str], url: str) -> str:
    """Say that these are in LFS, as the beginning of a sentence."""
    count = f"{len(names)} files are" if len(names) > 1 else "1 file is"
    return f"{count} kept in Git LFS of {shown(url)} (first: {shown(names[0])})"


def _is_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER
