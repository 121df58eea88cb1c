"""Authorities and the certificates that they sign, and a server that shows one."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    def serve(self, server: HTTPServer) -> str:
        """Have a server, which is bound already, speak TLS; return its URL."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return f"https://127.0.0.1:{server.server_port}"


@dataclass
class Authority:
    """Signs certificates, into files of a folder.

    Attributes:
        file: Its own certificate, as a client trusts it.
    """

    folder: Path
    name: str = "authority"
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        own = _named(self.name)
        builder = _begun(own, own, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage),
            critical=True,
        )
        signed = builder.sign(self._key, SHA256())
        self.file = self.folder / f"{self.name}.crt"
        self.file.write_bytes(signed.public_bytes(Encoding.PEM))

    def issue(self, stem: str = "tls", *names: str) -> Pair:
        """Sign a certificate, for 127.0.0.1 if no names are given; an old one is replaced."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = [x509.DNSName(name) for name in names] or [x509.IPAddress(ip_address("127.0.0.1"))]
        issuer = self._key.public_key()
        signed = (
            _begun(_named(stem), _named(self.name), key)
            .add_extension(x509.SubjectAlternativeName(found), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
            .sign(self._key, SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pair = Pair(self.folder / f"{stem}.crt", self.folder / f"{stem}.key")
        for path, content in (
            (pair.certificate, signed.public_bytes(Encoding.PEM)),
            (pair.key, pem),
        ):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.replace(path)
        return pair


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
