"""Which paths of files are safe to take from somebody else: one answer for all parts.

A path that came over the network is *plain* if it is relative, says each folder by its name and
means the same to everybody who reads it. `%`, `#` and `\\` are characters like any other: whoever
takes a path out of a URL decodes it first, once, and checks what came out.
"""

from pathlib import Path

LONGEST = 1024
"""The most bytes that a path may have: an object store's keys end there."""
_STEPS = frozenset({"", ".", ".."})


class BadPath(ValueError):  # noqa: N818  # reads as a reason
    """A path is not plain; the message says why, and quotes it."""


def segments(path: str) -> list[str]:
    """Split a plain path.

    Raises:
        BadPath: it is not plain.
    """
    _require_text(path)
    found = path.split("/")
    if not path:
        raise BadPath("the path is empty")
    if path.startswith("/"):
        raise BadPath(f"path {path!r} is absolute")
    if not _STEPS.isdisjoint(found):
        raise BadPath(f"path {path!r} has an empty, '.' or '..' segment")
    return found


def is_plain(path: str) -> bool:
    """Tell whether a path is plain."""
    try:
        segments(path)
    except BadPath:
        return False
    return True


def normal(path: str) -> str:
    """Write a path plainly: without `.`, `dir/..` and doubled slashes; empty for the folder itself.

    Raises:
        BadPath: it is absolute, climbs out, or no rewriting makes it plain.
    """
    _require_text(path)
    if path.startswith("/"):
        raise BadPath(f"path {path!r} is absolute")
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if not kept:
                raise BadPath(f"path {path!r} leaves its folder")
            kept.pop()
        elif segment not in _STEPS:
            kept.append(segment)
    return "/".join(kept)


def inside(folder: Path, path: str) -> Path:
    """Return where a plain path is below a folder.

    Raises:
        BadPath: it is not plain.
    """
    return folder.joinpath(*segments(path))


def _require_text(path: str) -> None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError as exc:
        raise BadPath(f"path {path!r} is no Unicode text") from exc
    if size > LONGEST:
        raise BadPath(f"path {path[:40]!r}… has {size} bytes; {LONGEST} are the most")
    if any(letter < " " or letter == "\x7f" for letter in path):
        raise BadPath(f"path {path!r} has a control character")
