"""The pod that answers for the fake nodes' kubelet, so that Runs have logs to be shipped.

kwok serves logs, too, but never ends one that is followed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from api import Api, Object, until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PORT = 10250
NAME = "fake-kubelet"


async def start(api: Api, space: str, *, image: str, seconds: float | None) -> str:
    """Start it in a namespace; return its address once it answers.

    Args:
        seconds: How long programs run; None: until `end` says otherwise.
    """
    base = f"/api/v1/namespaces/{space}"
    await api.create(f"{base}/secrets", _files())
    await api.create(f"{base}/pods", _pod(image, seconds))
    path = f"{base}/pods/{NAME}"

    async def is_ready() -> bool:
        conditions = (await api.get(path))["status"].get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    await until(is_ready, what=f"pod {space}/{NAME} is ready")
    return str((await api.get(path))["status"]["podIP"])


async def end(api: Api, space: str, pods: str = "") -> None:
    """Say that the programs of all pods are over whose namespace/name begins so."""
    await api.text(f"{_proxy(space)}/end/{pods}", method="POST")


async def following(api: Api, space: str) -> int:
    """Return how many logs are followed now."""
    return int((await api.get(f"{_proxy(space)}/figures"))["following"])


def _proxy(space: str) -> str:
    return f"/api/v1/namespaces/{space}/pods/https:{NAME}:{PORT}/proxy"


def _files() -> Object:
    key, certificate = _pair()
    script = Path(__file__).with_name("fake_kubelet.py").read_text(encoding="utf-8")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME},
        "stringData": {"fake_kubelet.py": script, "tls.key": key, "tls.crt": certificate},
    }


def _pair() -> tuple[str, str]:
    """Return a key and its own certificate: kubeadm's API server does not check a kubelet's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return private.decode(), certificate.public_bytes(pem).decode()


def _pod(image: str, seconds: float | None) -> Object:
    container = {
        "name": "kubelet",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/bench/fake_kubelet.py"],
        "env": [{"name": "SECONDS", "value": str(seconds or "inf")}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "bench", "mountPath": "/bench", "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
            "containers": [container],
            "volumes": [{"name": "bench", "secret": {"secretName": NAME}}],
        },
    }
