"""Virtual environments in the cache, one for each MLflow that is tried as a client.

    python tests/clients/environments.py

Made, or brought up to date: each has the highest patch of its minor that the package index has,
with scikit-learn and pandas.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from trainyard_cluster import paths

# The newest last; TRAINYARD_CLIENTS may choose fewer.
MINORS = tuple(os.environ.get("TRAINYARD_CLIENTS", "2.22 3.11 3.17 3.18").split())
# What the program uses besides; psutil is for the metrics of the system.
_WITH = (
    "scikit-learn",
    "pandas",
    "matplotlib",
    "pillow",
    "psutil",
    "setuptools<81",
)
# MLflow 2 loses all traces with a newer one: it lacks what that asks of a span processor.
_NOT_WITH = {"2.22": ("opentelemetry-sdk<1.45",)}


def folder() -> Path:
    """Return where the environments are."""
    return paths.cache() / "clients"


def python(minor: str) -> Path:
    """Return the interpreter of an environment, there or not."""
    return folder() / minor / "bin" / "python"


def make(minor: str) -> str:
    """Make an environment, or bring it up to date; give what there is to say.

    Raises:
        subprocess.CalledProcessError: the index does not have what is needed; uv said what.
    """
    if not python(minor).exists():
        _uv("venv", "--seed", "--python", sys.executable, str(folder() / minor))
    wanted = f"mlflow~={minor}.0"
    words = ("pip", "install", "--upgrade-package", "mlflow", wanted, *_WITH)
    if _uv(*words, *_NOT_WITH.get(minor, ()), of=minor, may_fail=True):
        return ""
    # A minor's parts may come to an index one after the other: mlflow-skinny after mlflow.
    major, _, number = minor.partition(".")
    before = f"{major}.{int(number) - 1}"
    _uv("pip", "install", f"mlflow~={before}.0", *_WITH, of=minor)
    _uv("pip", "install", "--no-deps", wanted, of=minor)
    return f"the index lacks parts that it pins: itself alone, on what {before} depends on"


def version(minor: str) -> str:
    """Return which MLflow an environment has.

    Raises:
        subprocess.CalledProcessError: there is none.
    """
    asked = "import importlib.metadata as m; print(m.version('mlflow'))"
    return subprocess.check_output([python(minor), "-c", asked], text=True).strip()


def _uv(*words: str, of: str = "", may_fail: bool = False) -> bool:
    where = ("--python", str(python(of))) if of else ()
    command = [Path(sys.executable).with_name("uv"), *words, "--quiet", *where]
    done = subprocess.run(command, check=False, capture_output=may_fail)
    if not may_fail:
        done.check_returncode()
    return done.returncode == 0


def main() -> None:
    sys.stdout.write(f"==> MLflow's clients in {folder()} (a minute each the first time)\n")
    for minor in MINORS:
        begun = time.monotonic()
        said = make(minor)
        took = time.monotonic() - begun
        sys.stdout.write(f"    {version(minor)} in {took:.0f} s{said and f'; {said}'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("UV_LINK_MODE", "hardlink")
    main()
