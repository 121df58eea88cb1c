"""A store whose certificate a private authority signed: trusted if given, and said if not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import object_stores
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from object_stores import Store, made, settings
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.s3 import S3Objects


def _certificate(folder: Path) -> Path:
    """Write a certificate and its key as MinIO wants them; it is its own authority."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "public.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "private.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "public.crt"


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
