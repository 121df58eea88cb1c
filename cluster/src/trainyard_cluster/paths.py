"""Where things are: versions, caches, state. No I/O but making and removing folders."""

import os
import platform
import shutil
from pathlib import Path

KIND = "v0.33.0"
KUBERNETES = "v1.37.2"
HELM = "v4.3.1"
KWOK = "v0.8.0"
# The last commit of the server's open repository; its release tags are no module versions.
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO = "1.26.0"
DEBIAN = "trixie"

CLUSTER = "trainyard"
NODE = f"{CLUSTER}-control-plane"
SYSTEM = "trainyard-system"
CONTEXT = f"kind-{CLUSTER}"
ENDPOINT_PORT = 8080

REPOSITORY = Path(__file__).parents[3]


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable) or str(Path.home() / default)
    return Path(base) / "trainyard"


def cache() -> Path:
    """Return the folder of downloads and builds: versioned, safe to delete, shared by clones."""
    return _folder("XDG_CACHE_HOME", ".cache")


def remove_cache() -> None:
    """Remove that folder with all that is in it."""
    shutil.rmtree(cache(), ignore_errors=True)


def binaries() -> Path:
    """Return the folder of binaries, made if missing."""
    folder = cache() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def logs() -> Path:
    """Return the folder of the steps' logs, made if missing."""
    folder = cache() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kubeconfig() -> Path:
    """Return the local cluster's own kubeconfig: no other file is touched."""
    folder = _folder("XDG_STATE_HOME", ".local/state")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "kubeconfig"


def architecture() -> str:
    """Return this machine's architecture by Go's name."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
