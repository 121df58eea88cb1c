"""The object store, as the service uses it: six operations, whatever S3 is behind them.

Keys are made by the callers. Content that is addressed by its digest is written once:
`put_new` never overwrites, which minio-py can't express, so it sends a presigned PUT with
`If-None-Match: *` itself.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import certifi
import httpx
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from trainyard_tracking.errors import BadSettings, Unavailable
from trainyard_tracking.settings import ObjectStoreSettings

CHUNK = 1 << 20
_THREADS = 64
_PATIENCE = httpx.Timeout(30.0, read=600.0, write=600.0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object below a prefix; `path` is relative to it, `size` in bytes."""

    path: str
    size: int


class Objects(Protocol):
    """What the service needs of an object store; tests bring one of files."""

    def size(self, key: str) -> int | None: ...

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]: ...

    def put(self, key: str, content: Path) -> None: ...

    def put_new(self, key: str, content: Path) -> bool: ...

    def under(self, prefix: str) -> list[Entry]: ...


@dataclass(slots=True)
class S3Objects:
    """An S3 bucket."""

    settings: ObjectStoreSettings
    _client: Minio = field(init=False)

    def __post_init__(self) -> None:
        store = self.settings
        self._client = Minio(
            store.endpoint,
            access_key=store.access_key,
            secret_key=store.secret_key,
            secure=store.secure,
            region=store.region,
            http_client=_pool(),
        )

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing.

        Raises:
            BadSettings: the store can't be reached, or does not take our keys.
        """
        bucket = self.settings.bucket
        try:
            if not self._client.bucket_exists(bucket):
                self._client.make_bucket(bucket, location=self.settings.region)
        except S3Error as exc:
            if exc.code in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                return
            raise BadSettings(
                f"the object store {self.settings.url} refuses bucket {bucket}: {exc.code};"
                " check the keys in its Secret"
            ) from exc
        except (MinioException, HTTPError, OSError) as exc:
            raise BadSettings(
                f"the object store {self.settings.url} does not answer: {exc}"
            ) from exc

    def size(self, key: str) -> int | None:
        """Give the size of an object in bytes, or None if there is none."""
        try:
            return int(self._client.stat_object(self.settings.bucket, key).size)
        except S3Error as exc:
            if exc.code in {"NoSuchKey", "NoSuchObject"}:
                return None
            raise _away(exc) from exc
        except (MinioException, HTTPError) as exc:
            raise _away(exc) from exc

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """Stream an object that exists, from a byte of it on."""
        try:
            response = self._client.get_object(self.settings.bucket, key, offset=offset)
        except (MinioException, HTTPError) as exc:
            raise _away(exc) from exc
        return _chunks(response)

    def put(self, key: str, content: Path) -> None:
        """Write an object, in place of what is there."""
        try:
            self._client.fput_object(self.settings.bucket, key, str(content))
        except (MinioException, HTTPError) as exc:
            raise _away(exc) from exc

    def put_new(self, key: str, content: Path) -> bool:
        """Write an object unless there is one; tell whether it was written."""
        url = self._client.presigned_put_object(
            self.settings.bucket, key, expires=timedelta(hours=1)
        )
        size = content.stat().st_size
        headers = {"If-None-Match": "*", "Content-Length": str(size)}
        try:
            with content.open("rb") as file:
                answer = httpx.put(
                    url,
                    content=iter(lambda: file.read(CHUNK), b"") if size else b"",
                    headers=headers,
                    timeout=_PATIENCE,
                )
        except httpx.HTTPError as exc:
            raise _away(exc) from exc
        if answer.status_code in {409, 412}:
            # 412: it is there. 409: it is being written by another request, with the same digest.
            return False
        if answer.status_code >= 300:
            raise Unavailable(f"The object store answers {answer.status_code}: {answer.text[:300]}")
        return True

    def under(self, prefix: str) -> list[Entry]:
        """List the objects below a prefix, which must end with a slash."""
        try:
            found = self._client.list_objects(self.settings.bucket, prefix, recursive=True)
            return [
                Entry(one.object_name.removeprefix(prefix), int(one.size or 0)) for one in found
            ]
        except (MinioException, HTTPError) as exc:
            raise _away(exc) from exc


def _pool() -> urllib3.PoolManager:
    """Return minio-py's own settings, but a connection for every thread of the service."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=10.0, read=300.0),
        maxsize=_THREADS,
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        retries=urllib3.Retry(total=5, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )


def _chunks(response: object) -> Iterator[bytes]:
    try:
        yield from response.stream(CHUNK)  # type: ignore[attr-defined]  # urllib3, by minio untyped
    finally:
        response.close()  # type: ignore[attr-defined]
        response.release_conn()  # type: ignore[attr-defined]


def _away(exc: Exception) -> Unavailable:
    return Unavailable(f"The object store can't be used now: {exc}")
