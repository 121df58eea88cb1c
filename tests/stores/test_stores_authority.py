"""A store whose certificate a private authority signed: trusted if given, and said if not."""

from collections.abc import Iterator
from pathlib import Path

import object_stores
import pytest
from builders.authority import Authority
from object_stores import Store, made, settings
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.s3 import S3Objects


def _certificate(folder: Path) -> Path:
    """Write a certificate and its key as MinIO wants them; return their authority."""
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("public").key.rename(folder / "private.key")
    return authority.file


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    binary = object_stores.minio_binary()
    if binary is None:
        pytest.skip("no binary of minio here: `make cluster` builds it")
    folder = tmp_path_factory.mktemp("private")
    authority = _certificate(folder / "certs")
    words = ("--certs-dir", str(folder / "certs"))
    with object_stores.minio(binary, folder, *words, scheme="https") as running:
        made(settings(running, ca_bundle=str(authority)))
        yield running, authority


def test_a_private_authority_that_is_given_is_trusted(private: tuple[Store, Path]) -> None:
    store, authority = private

    objects = S3Objects(settings(store, ca_bundle=str(authority)))

    assert objects.write("trusted", b"x", new=True)
    assert b"".join(objects.read("trusted")) == b"x"


def test_a_certificate_that_is_not_trusted_is_said_as_such(private: tuple[Store, Path]) -> None:
    store, _ = private

    with pytest.raises(BadSettings, match=r"not trusted here.*objectStore\.caBundle"):
        S3Objects(settings(store)).ensure_bucket()
