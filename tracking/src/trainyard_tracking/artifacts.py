"""MLflow's artifact store on our object store, so that the service has one way to S3.

MLflow's own handlers list, delete and read traces through it; files of any size go in and out by
our routes (`api/artifacts.py`). A path means below the folder of the bucket that the URI names.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from trainyard_api.paths import BadPath, normal

from trainyard_tracking.errors import Refused
from trainyard_tracking.objects import Objects


class ObjectsRepository(ArtifactRepository):  # type: ignore[misc]  # MLflow has no types
    """Files below a key of the object store."""

    def __init__(self, objects: Objects, artifact_uri: str, **more: Any) -> None:
        super().__init__(artifact_uri, **more)
        self._objects = objects
        self._root = urlsplit(artifact_uri).path.strip("/")

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Write a file into a folder."""
        self._objects.put(f"{self._key(artifact_path)}/{Path(local_file).name}", Path(local_file))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Write all files of a folder."""
        for file in Path(local_dir).rglob("*"):
            if file.is_file():
                below = file.relative_to(local_dir).as_posix()
                self._objects.put(f"{self._key(artifact_path)}/{below}", file)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List what is right in a folder, by paths from the root on; of a file, nothing."""
        folder = self._key(path)
        with _answering():
            files, folders = self._objects.folders(f"{folder}/")
        below = folder.removeprefix(self._root).strip("/")
        at = f"{below}/" if below else ""
        found = [FileInfo(f"{at}{one.path}", False, one.size) for one in files]
        found += [FileInfo(f"{at}{one}", True, None) for one in folders]
        return sorted(found, key=lambda one: one.path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with all that is in it; what is not there is no error."""
        key = self._key(artifact_path)
        with _answering():
            below = [f"{key}/{entry.path}" for entry in self._objects.under(f"{key}/")]
            self._objects.delete([key, *below])

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        with _answering(), Path(local_path).open("wb") as file:
            found = self._objects.open(self._key(remote_file_path))
            if found is None:
                raise MlflowException(
                    f"No such artifact: '{remote_file_path}'", RESOURCE_DOES_NOT_EXIST
                )
            file.writelines(found.chunks)

    def _key(self, path: str | None) -> str:
        try:
            below = normal(path.strip("/")) if path else ""
        except BadPath as exc:
            raise MlflowException(str(exc), INVALID_PARAMETER_VALUE) from exc
        return f"{self._root}/{below}" if below else self._root


@contextmanager
def _answering() -> Iterator[None]:
    """Say in MLflow's way that the store is away: 503, which its clients repeat."""
    try:
        yield
    except Refused as exc:
        raise MlflowException(str(exc), TEMPORARILY_UNAVAILABLE) from exc


def repository(objects: Objects) -> Callable[..., ObjectsRepository]:
    """Give what MLflow makes repositories by."""

    def make(artifact_uri: str, **more: Any) -> ObjectsRepository:
        return ObjectsRepository(objects, artifact_uri, **more)

    return make
