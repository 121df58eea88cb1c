"""Find out what to run in a folder, and what that needs; reads files, starts nothing."""

import ast
import shlex
import sys
from pathlib import Path

from trainyard.errors import InvalidInput

_USUAL = ("train.py", "main.py")
# Where the name that is imported is not the name that is installed.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def command_for(folder: Path, given: list[str]) -> list[str]:
    """Return *given*, or `python train.py` (or main.py) where the folder has one.

    Raises:
        InvalidInput: there is no folder, or nothing in it that is clearly the program.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder", fix="Name the folder that holds the script")
    if given:
        return given
    for name in _USUAL:
        if (folder / name).is_file():
            return ["python", name]
    scripts = sorted(path.name for path in folder.glob("*.py"))
    found = f"it holds {', '.join(scripts)}" if scripts else "it holds no Python file at all"
    example = scripts[0] if scripts else "train.py"
    raise InvalidInput(
        f"{folder} has no train.py or main.py: {found}",
        # The options that were given, --local above all, are to be given again.
        fix="Say what to run after two dashes:"
        f" trainyard run … {shlex.quote(str(folder))} -- python {shlex.quote(example)}",
    )


def script_of(folder: Path, command: list[str]) -> Path | None:
    """Return the Python script that *command* starts, if it is one of *folder*."""
    for word in command[1:]:
        if word.endswith(".py"):
            script = folder / word
            return script if script.is_file() else None
    return None


def modules_needed(script: Path) -> list[str]:
    """List the top-level modules that *script* cannot do without and does not bring.

    Imports inside functions or `try` are optional; the standard library and the
    files beside the script are there anyway. A script that cannot be parsed
    needs nothing: Python itself will say what is wrong with it.
    """
    try:
        tree = ast.parse(script.read_bytes())
    except (SyntaxError, ValueError):
        return []
    beside = {path.stem for path in script.parent.iterdir()}
    return sorted(
        name
        for name in {found for node in tree.body for found in _imported(node)}
        if name not in sys.stdlib_module_names and name not in beside
    )


def distributions(modules: list[str]) -> list[str]:
    """Name what to install to be able to import *modules*."""
    return [_DISTRIBUTIONS.get(module, module) for module in modules]


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module.partition(".")[0]]
    return []
