"""The authority by which our own parts check the tracking service's certificate.

Standard library only. The chart mounts it for the operator, which puts a copy into the Secret of
each token; TRAINYARD_CA_FILE says where it is. Without one, the machine's own authorities decide.
"""

import re
import ssl
from pathlib import Path

from trainyard_api.contract import CA_FILE_ENV

_MOST_BYTES = 1 << 20
# What OpenSSL says of an answer that is no TLS, before 3.2 and since.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
# What it says where VERIFY_X509_STRICT is set, of what openssl's own commands leave out.
_INFORMAL = re.compile(
    "key usage|key identifier|basic constraints|alt name|path length", re.IGNORECASE
)


def read(path: str | Path) -> str:
    """Return the authorities of a PEM file.

    Raises:
        ValueError: There are none; names the setting.
    """
    try:
        with Path(path).open("rb") as file:
            # PEM is ASCII; what people write between certificates need not be.
            text = file.read(_MOST_BYTES).decode("ascii", errors="ignore")
        trusting(text or "nothing")
    except (OSError, ValueError) as exc:
        raise ValueError(
            f"{CA_FILE_ENV} names {path}, in which there is no certificate as PEM: {exc}"
        ) from exc
    return text


def trusting(authorities: str) -> ssl.SSLContext:
    """Return how a server is checked: by authorities as PEM, or by the machine's own for none.

    Raises:
        ValueError: They are no PEM.
    """
    try:
        return ssl.create_default_context(cadata=authorities or None)
    except ssl.SSLError as exc:
        raise ValueError(str(exc)) from exc


def advice(exc: BaseException | object, where: str = "", *, url: str) -> str:
    """Return what to do about a certificate that is not trusted, or TLS on one side alone.

    "" for any other error.

    Args:
        where: File of the authorities; empty if none was given.
        url: What was asked.
    """
    # A service by TLS closes what begins in the clear, and so does one that ends.
    if isinstance(exc, ConnectionResetError) and url.startswith("http://"):
        return " (does it speak https? see tracking.tls.enabled of the chart)"
    if isinstance(exc, ssl.SSLError) and exc.reason in _NO_TLS:
        return " (does it speak plain http? see tracking.tls.enabled of the chart)"
    if not isinstance(exc, ssl.SSLCertVerificationError):
        return ""
    return f" ({_mend(str(getattr(exc, 'verify_message', '')), where)})"


def _mend(said: str, where: str) -> str:
    if _INFORMAL.search(said):
        return (
            f"{said}: Python since 3.13, and so MLflow in Runs, takes certificates only as RFC 5280"
            " has them, the authority's with keyUsage keyCertSign, both with key identifiers: have"
            " them made anew"
        )
    if "mismatch" in said:
        return f"{said}: the certificate must name the service as it is called here"
    if where:
        return f"its certificate is not one of {CA_FILE_ENV}, {where}: is that the authority now?"
    return f"set {CA_FILE_ENV} to the file of the authority that signed its certificate"
