"""Which files of a folder git would ignore; reads .gitignore files and nothing else."""

from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

# Never part of a program: version control, caches, environments, local MLflow results.
ALWAYS_LEFT_OUT = frozenset(
    {".git", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    | {".DS_Store", "mlruns", "mlartifacts", "mlflow.db", "mlflow.db-journal"}
    | {"mlflow.db-wal", "mlflow.db-shm"}
)


class Ignore:
    """The .gitignore rules in force in *folder*: its own, nested ones, and those above.

    As in git, rules above count up to the repository's root, and the nearest
    file that has an opinion wins.
    """

    def __init__(self, folder: Path) -> None:
        self._specs: dict[Path, GitIgnoreSpec] = {}
        for above in _up_to_repository(folder):
            self._read(above, above / ".git" / "info" / "exclude", above / ".gitignore")

    def enter(self, folder: Path) -> None:
        """Read the rules of *folder*; call it before asking about what is inside."""
        self._read(folder, folder / ".gitignore")

    def leaves_out(self, path: Path) -> bool:
        """Tell whether rules leave *path* behind. The folders above it were asked before."""
        is_folder = path.is_dir() and not path.is_symlink()
        for above in path.parents:
            spec = self._specs.get(above)
            if spec is None:
                continue
            name = path.relative_to(above).as_posix() + ("/" if is_folder else "")
            verdict = spec.check_file(name).include
            if verdict is not None:
                return verdict
        return False

    def _read(self, folder: Path, *files: Path) -> None:
        if folder in self._specs:
            return
        lines = [
            line
            for file in files
            if file.is_file()
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        ]
        if lines:
            self._specs[folder] = _spec(lines)


def _spec(lines: list[str]) -> GitIgnoreSpec:
    """Read the rules; as git does, one that means nothing (`!` alone) is passed over."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in lines if _means_something(line))


def _means_something(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def is_clutter(path: Path) -> bool:
    """Tell whether *path* is never part of a program, whatever the rules say."""
    return path.name in ALWAYS_LEFT_OUT or (path / "pyvenv.cfg").is_file()


def _up_to_repository(folder: Path) -> Iterator[Path]:
    chain = [folder, *folder.parents]
    roots = [position for position, above in enumerate(chain) if (above / ".git").exists()]
    yield from chain[: roots[0] + 1] if roots else chain[:1]
