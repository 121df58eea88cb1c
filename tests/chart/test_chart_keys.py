"""The keys that the chart makes are what operator and tracking service read."""

import base64

from builders.chart import named, rendered
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def decoded(secret: str, key: str) -> bytes:
    return base64.b64decode(named(rendered(), "Secret", secret)["data"][key])


def test_the_certificate_holds_the_public_half_of_an_ed25519_key() -> None:
    key = load_pem_private_key(decoded("trainyard-signing", "signing.key"), password=None)
    certificate = x509.load_pem_x509_certificate(decoded("trainyard-signing", "tls.crt"))

    assert isinstance(key, Ed25519PrivateKey)
    assert certificate.public_key() == key.public_key()


def test_the_object_store_s_credentials_are_long_enough_for_minio() -> None:
    assert len(decoded("trainyard-object-store", "access-key")) >= 16
    assert len(decoded("trainyard-object-store", "secret-key")) >= 32


def test_a_key_of_one_s_own_is_neither_made_nor_watched_for_changes() -> None:
    certificate = "tracking.tls.existingSecret=mine-tls"
    objects = rendered(None, "signing.existingSecret=mine", certificate)

    operator = named(objects, "Deployment", "trainyard-operator")["spec"]["template"]
    volumes = [v["secret"]["secretName"] for v in operator["spec"]["volumes"] if "secret" in v]
    assert volumes == ["mine"]
    assert "checksum/signing" not in operator["metadata"]["annotations"]
    assert "trainyard-signing" not in {o["metadata"]["name"] for o in objects}
