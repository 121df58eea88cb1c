"""An S3 bucket, by boto3: the only way of the service to its object store, MLflow's included.

Without keys in the settings boto3 finds its own: a role bound to the ServiceAccount, the node's.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    SSLError,
)
from trainyard_api.slices import PART

from trainyard_tracking.errors import BadSettings, Lost, TrackingError, Unavailable
from trainyard_tracking.objects import CHUNK, Entry, Opened, Stat
from trainyard_tracking.settings import ObjectStoreSettings

_MISSING = frozenset({"404", "NoSuchKey", "NoSuchObject", "NotFound"})
_THERE = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_GONE = frozenset({"NoSuchUpload", "InvalidPart"})
_OURS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_MOST_DELETED = 1000
_READS_AGAIN = 3
_DOWN = (BotoCoreError, ClientError, HTTPClientError, OSError)


@dataclass(slots=True)
class S3Objects:
    """An S3 bucket. Every method raises Unavailable if the store can't be used.

    Raises:
        BadSettings: the file of authorities is not there.
    """

    settings: ObjectStoreSettings
    _client: Any = field(init=False)
    _hasty: Any = field(init=False)
    """Gives up in half a minute, for what is tried again by whoever asked."""

    def __post_init__(self) -> None:
        self._client = _client(self.settings)
        self._hasty = _client(self.settings, connect=5, read=10, tries=2)

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing.

        Raises:
            BadSettings: the store can't be reached, or does not take our keys.
        """
        try:
            with self._answering():
                try:
                    self._client.head_bucket(Bucket=self.settings.bucket)
                except ClientError as exc:
                    if _code(exc) not in {"404", "NoSuchBucket", "NotFound"}:
                        raise
                    self._make_bucket()
        except Unavailable as exc:
            raise BadSettings(str(exc)) from exc

    def _make_bucket(self) -> None:
        where = self.settings.region
        place = {} if where == "us-east-1" else {"LocationConstraint": where}
        more = {"CreateBucketConfiguration": place} if place else {}
        try:
            self._client.create_bucket(Bucket=self.settings.bucket, **more)
        except ClientError as exc:
            if _code(exc) not in _OURS:
                raise

    def stat(self, key: str) -> Stat | None:
        """Give size and tag of an object, or None if there is none."""
        with self._answering():
            try:
                found = self._hasty.head_object(**self._at(key))
            except ClientError as exc:
                if _code(exc) in _MISSING:
                    return None
                raise
        return Stat(int(found["ContentLength"]), str(found.get("ETag", "")))

    def open(self, key: str) -> Opened | None:
        """Begin to read an object, in one request; None if there is none."""
        with self._answering():
            try:
                found = self._client.get_object(**self._at(key))
            except ClientError as exc:
                if _code(exc) in _MISSING:
                    return None
                raise
        stat = Stat(int(found["ContentLength"]), str(found.get("ETag", "")))
        return Opened(stat, self._chunks(key, found, 0, stat.size))

    def read(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream an object that exists, from a byte of it on, as many bytes as asked for."""
        if length == 0:
            return iter(())
        end = None if length is None else offset + length
        found = self._ranged(key, offset, end)
        return self._chunks(key, found, offset, offset + int(found["ContentLength"]))

    def _ranged(self, key: str, offset: int, end: int | None, etag: str = "") -> Any:
        asked = {"Range": f"bytes={offset}-{'' if end is None else end - 1}"}
        same = {"IfMatch": etag} if etag else {}
        with self._answering():
            return self._client.get_object(**self._at(key), **asked, **same)

    def _chunks(self, key: str, found: Any, offset: int, end: int) -> Iterator[bytes]:
        """Read on where the store broke off: who asked has half an answer and can't ask anew."""
        again = 0
        while True:
            try:
                with closing(found["Body"]) as body:
                    while offset < end:
                        chunk = body.read(CHUNK)
                        if not chunk:
                            raise OSError(f"it ended at byte {offset} of {end}")
                        offset += len(chunk)
                        yield chunk
                return
            except _DOWN as exc:
                again += 1
                if again > _READS_AGAIN:
                    raise self._away(exc) from exc
                found = self._ranged(key, offset, end, str(found.get("ETag", "")))

    def put(self, key: str, content: Path) -> None:
        """Write an object, in place of what is there; gives up soon, as who finishes a Run does."""
        how = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2)
        with self._answering():
            self._hasty.upload_file(str(content), self.settings.bucket, key, Config=how)

    def write(self, key: str, data: bytes, *, new: bool) -> bool:
        """Write a small object; tell whether it was written, for `new` only if there is none."""
        condition = {"IfNoneMatch": "*"} if new else {}
        return self._once(
            key, lambda: self._client.put_object(**self._at(key), Body=data, **condition)
        )

    def begin(self, key: str) -> str:
        """Begin an upload in parts; give its id."""
        with self._answering():
            return str(self._client.create_multipart_upload(**self._at(key))["UploadId"])

    def part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Send a part, from number 1 on; give its tag."""
        with self._answering():
            sent = self._client.upload_part(
                **self._at(key), UploadId=upload, PartNumber=number, Body=data
            )
        return str(sent["ETag"])

    def complete(self, key: str, upload: str, tags: list[str], *, new: bool) -> bool:
        """Make one object of the parts; tell whether it was written, as `write` does.

        Again is harmless: what an earlier call did, whose answer got lost, is found and told.

        Raises:
            Lost: the parts are gone.
        """
        condition = {"IfNoneMatch": "*"} if new else {}
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        whole = {"UploadId": upload, "MultipartUpload": {"Parts": parts}, **condition}
        try:
            return self._once(
                key, lambda: self._client.complete_multipart_upload(**self._at(key), **whole)
            )
        except Lost:
            # A new one has the name of its digest: whoever wrote it, it is this.
            found = self.stat(key)
            if found is None or not (new or found.etag.strip('"') == _etag(tags)):
                raise
            return True

    def abort(self, key: str, upload: str) -> None:
        """Drop the parts of an upload; again is harmless."""
        with self._answering():
            try:
                self._client.abort_multipart_upload(**self._at(key), UploadId=upload)
            except ClientError as exc:
                if _code(exc) not in {"404", "NoSuchUpload"}:
                    raise

    def under(self, prefix: str) -> list[Entry]:
        """List the objects below a prefix, which must end with a slash."""
        return [entry for page in self._pages(prefix) for entry in _entries(page, prefix)]

    def folders(self, prefix: str) -> tuple[list[Entry], list[str]]:
        """List the objects right below a prefix, and the names of the folders there."""
        files: list[Entry] = []
        folders: list[str] = []
        for page in self._pages(prefix, Delimiter="/"):
            files += _entries(page, prefix)
            found = (one["Prefix"] for one in page.get("CommonPrefixes", ()))
            folders += [one.removeprefix(prefix).rstrip("/") for one in found]
        return files, folders

    def delete(self, keys: list[str]) -> None:
        """Remove objects; what is not there is no error."""
        for begin in range(0, len(keys), _MOST_DELETED):
            some = [{"Key": key} for key in keys[begin : begin + _MOST_DELETED]]
            with self._answering():
                told = self._client.delete_objects(
                    Bucket=self.settings.bucket, Delete={"Objects": some, "Quiet": True}
                )
            if errors := told.get("Errors"):
                one = errors[0]
                raise Unavailable(
                    f"The object store did not delete {len(errors)} objects:"
                    f" {one.get('Key')}: {one.get('Code')}"
                )

    def _pages(self, prefix: str, **more: str) -> Iterator[Any]:
        paginator = self._client.get_paginator("list_objects_v2")
        with self._answering():
            yield from paginator.paginate(Bucket=self.settings.bucket, Prefix=prefix, **more)

    def _once(self, key: str, writing: Any) -> bool:
        """Write; not if it is there (412), or has just been written with the same digest (409)."""
        with self._answering():
            try:
                writing()
                return True
            except ClientError as exc:
                if _code(exc) not in _THERE or self.stat(key) is None:
                    raise
        return False

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.settings.bucket, "Key": key}

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except _DOWN as exc:
            raise self._away(exc) from exc

    def _away(self, exc: Exception) -> TrackingError:
        is_gone = isinstance(exc, ClientError) and _code(exc) in _GONE
        return (Lost if is_gone else Unavailable)(
            f"The object store {self.settings.url} {_why(exc)}"
        )


def _client(
    store: ObjectStoreSettings, *, connect: int = 10, read: int = 60, tries: int = 5
) -> Any:
    """Make a client; thread-safe. Checksums beyond S3's first are not known to every store."""
    if store.ca_bundle and not Path(store.ca_bundle).is_file():
        raise BadSettings(
            f"TRAINYARD_OBJECT_STORE_CA_FILE is {store.ca_bundle}, where no file is: see"
            " objectStore.caBundle of the chart"
        )
    config = Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=64,
        tcp_keepalive=True,
        s3={"addressing_style": store.addressing},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=store.url,
        region_name=store.region,
        aws_access_key_id=store.access_key or None,
        aws_secret_access_key=store.secret_key or None,
        aws_session_token=store.session_token or None,
        verify=store.ca_bundle or None,
        config=config,
    )


def _etag(tags: list[str]) -> str:
    """Give the tag that S3 gives an object of these parts; "" if theirs are no MD5."""
    digests = [tag.strip('"') for tag in tags]
    try:
        joined = b"".join(map(bytes.fromhex, digests))
    except ValueError:
        return ""
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(tags)}"


def _why(exc: Exception) -> str:
    """Say in one line what is wrong with the store, and whose it is to mend."""
    if isinstance(exc, SSLError):
        return (
            f"has a certificate that is not trusted here ({exc}): give the authority that signed it"
            " as objectStore.caBundle"
        )
    if isinstance(exc, NoCredentialsError):
        return (
            "needs keys, and there are none: set objectStore.existingSecret, or bind a role to the"
            " ServiceAccount trainyard-tracking by tracking.serviceAccountAnnotations"
        )
    if isinstance(exc, ClientError):
        told = exc.response.get("Error", {})
        check = "; check its keys" if _status(exc) in {401, 403} else ""
        return f"answers {_status(exc)} {told.get('Code', '')} {told.get('Message', '')}{check}"
    return f"does not answer: {exc}"


def _code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _entries(page: Any, prefix: str) -> list[Entry]:
    """Give the objects of a page, without those that stand for a folder."""
    found = ((one["Key"], int(one["Size"])) for one in page.get("Contents", ()))
    return [Entry(key.removeprefix(prefix), size) for key, size in found if not key.endswith("/")]
