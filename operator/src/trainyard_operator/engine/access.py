"""Where the API server is, and what to show it: in a pod, or by a kubeconfig.

Reads files and the environment only; kube.py does the talking.
"""

import base64
import contextlib
import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainyard_operator.settings import SERVICE_ACCOUNT

_TOKEN_AGE = 60.0


@dataclass(slots=True)
class Access:
    """An API server and the means to talk to it.

    Attributes:
        token_file: Read again every minute, because projected tokens are renewed.
    """

    server: str
    ssl_context: ssl.SSLContext | None = None
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    _read_at: float = field(default=-_TOKEN_AGE, repr=False)

    def headers(self) -> dict[str, str]:
        """Return the authorization header, empty if a client certificate does it."""
        now = time.monotonic()
        if self.token_file and now - self._read_at >= _TOKEN_AGE:
            # One that can't be read, as without a file handle left: the last is good for minutes.
            with contextlib.suppress(OSError):
                self.token = self.token_file.read_text(encoding="utf-8").strip()
                self._read_at = now
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def find_access() -> Access:
    """Return the access of this pod, or of $KUBECONFIG or ~/.kube/config outside of one.

    Raises:
        FileNotFoundError: There is neither.
    """
    if "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists():
        return _in_cluster()
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    return _from_kubeconfig(yaml.safe_load(path.read_text(encoding="utf-8")))


def _in_cluster() -> Access:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    bracketed = f"[{host}]" if ":" in host else host
    context = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    return Access(f"https://{bracketed}:{port}", context, token_file=SERVICE_ACCOUNT / "token")


def _from_kubeconfig(config: dict[str, Any]) -> Access:
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    if not cluster["server"].startswith("https:"):
        return Access(cluster["server"], token=user.get("token", ""))
    authority = _decoded(cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _decoded(user, "client-certificate"), _decoded(user, "client-key")
    if certificate and key:
        _load_pair(tls, certificate, key)
    return Access(cluster["server"], tls, token=user.get("token", ""))


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _decoded(section: dict[str, Any], key: str) -> bytes:
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"])
    return Path(section[key]).read_bytes() if key in section else b""


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module takes a client certificate from files only.
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(certificate + b"\n" + key)
        pair.flush()
        context.load_cert_chain(pair.name)
