"""Paths that came over the network, checked before a file is written there."""

from pathlib import Path

from trainyard_api import paths

from trainyard_agent.errors import SourceError


def inside(folder: Path, relative: str) -> Path:
    """Return the path under the folder.

    Raises:
        SourceError: The path is absolute, climbs out or is empty.
    """
    try:
        return paths.inside(folder, paths.normal(relative))
    except paths.BadPath as exc:
        raise SourceError(str(exc), reason="UnsafePath") from exc


def files_under(folder: Path) -> list[Path]:
    """Return every file under the folder, sorted by its path in it.

    Raises:
        SourceError: There is a link or a special file, which no other machine could read.
    """
    found = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            name = path.relative_to(folder).as_posix()
            raise SourceError(f"{name} is neither a file nor a folder", reason="UnsafePath")
        if path.is_file():
            found.append(path)
    return found
