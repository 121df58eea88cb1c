"""The tracking service in a process of its own: how much memory it takes is told.

    python tests/stores/service.py FOLDER ENDPOINT     # an S3's; '' for files in the folder

Prints its URL when it listens, and at the end, when standard input closes, its peak memory in KiB.
"""

import os
import resource
import socket
import sys
import threading
from pathlib import Path

from builders.tracking import KEY, FakeKube, FileObjects
from object_stores import Store, settings
from trainyard_tracking.mlflow_env import ARTIFACTS_URI, behaviour
from trainyard_tracking.objects import Objects
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.settings import ObjectStoreSettings, Settings

root, endpoint = Path(sys.argv[1]), sys.argv[2]
database = f"sqlite:///{root}/mlflow.db"
os.environ.update(
    {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": "trainyard://",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": ARTIFACTS_URI,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        **behaviour(),
    }
)

import uvicorn  # noqa: E402  # after the environment, as below
from trainyard_tracking.__main__ import configured  # noqa: E402
from trainyard_tracking.server import Outside, compose  # noqa: E402  # MLflow reads it


def objects() -> Objects:
    if not endpoint:
        return FileObjects(root / "bucket")
    return S3Objects(settings(Store("s3", endpoint)))


kube = FakeKube()
for name in ("default", "team"):
    kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name, "uid": name}})
service = compose(Outside(kube, objects(), KEY.public_key(), database, root / "spool", "yard"))
for watcher in service.watchers:
    watcher.list_once()
listening = socket.create_server(("127.0.0.1", 0))
nowhere = ObjectStoreSettings("s3", "b", "r", secure=False)
shipped = Settings(database, nowhere, root / "crt", root / "spool", 5000, "warning")
server = uvicorn.Server(configured(service.app, shipped))


def wait() -> None:
    sys.stdin.read()
    server.should_exit = True


threading.Thread(target=wait, daemon=True).start()
sys.stdout.write(
    f"http://127.0.0.1:{listening.getsockname()[1]}"
    f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n"
)
sys.stdout.flush()
server.run(sockets=[listening])
sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
