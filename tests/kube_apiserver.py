"""A real etcd and kube-apiserver for tests: no kubelet, no controllers, nothing ever runs.

What only an API server knows is tested on it: validation, CEL, apply, conflicts, policies.
"""

import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from processes import ended

READY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Server:
    """A running API server: where it is, and how to be its administrator."""

    url: str
    certificate: Path
    token: str
    binaries: Path

    def kubectl(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        access = ("--server", self.url, "--certificate-authority", str(self.certificate))
        return subprocess.run(
            [str(self.binaries / "kubectl"), *access, "--token", self.token, *words],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
            env={"HOME": str(self.certificate.parent), "PATH": os.environ["PATH"]},
        )


def assets() -> Path:
    """Return the folder with etcd, kube-apiserver and kubectl; build them if nobody has."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        return Path(given)
    from trainyard_cluster import tools  # noqa: PLC0415  # only where none are given

    return tools.assets()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start etcd and an API server that keep all they have in a folder; stop both at the end."""
    binaries = assets()
    peer, client, secure = _free_ports(3)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", "utf-8")
    _write_key(folder / "accounts.pem")
    with (
        _process(folder, "etcd", _etcd(binaries, folder, client=client, peer=peer)),
        _process(folder, "kube-apiserver", _apiserver(binaries, folder, etcd=client, port=secure)),
    ):
        server = Server(
            f"https://127.0.0.1:{secure}", folder / "certificates/apiserver.crt", token, binaries
        )
        _wait_until_ready(server, folder)
        yield server


def _etcd(binaries: Path, folder: Path, *, client: int, peer: int) -> list[str]:
    here = f"http://127.0.0.1:{client}"
    there = f"http://127.0.0.1:{peer}"
    return [
        str(binaries / "etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={there}",
        f"--initial-advertise-peer-urls={there}",
        f"--initial-cluster=default={there}",
        "--unsafe-no-fsync",
    ]


def _apiserver(binaries: Path, folder: Path, *, etcd: int, port: int) -> list[str]:
    return [
        str(binaries / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.pem'}",
        f"--service-account-signing-key-file={folder / 'accounts.pem'}",
        "--endpoint-reconciler-type=none",
        # Without the controllers no namespace ever gets its default account.
        "--disable-admission-plugins=ServiceAccount",
    ]


@contextlib.contextmanager
def _process(folder: Path, name: str, command: list[str]) -> Iterator[None]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        with ended(process, seconds=20):
            yield


def _wait_until_ready(server: Server, folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    headers = {"Authorization": f"Bearer {server.token}"}
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, OSError, ssl.SSLError):
            context = ssl.create_default_context(cafile=server.certificate)
            with httpx.Client(verify=context, headers=headers, base_url=server.url) as client:
                if client.get("/readyz").text == "ok":
                    return
        time.sleep(0.2)
    log = (folder / "kube-apiserver.log").read_text("utf-8", "replace")
    raise TimeoutError(f"the API server was not ready in {READY_SECONDS} s:\n{log[-2000:]}")


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
