"""Every setting of the operator, once, typed; the environment is read here alone.

`from_environment` is called by __main__ only: everything else gets a Settings as an argument.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from trainyard_api import authority

from trainyard_operator.engine.errors import Terminal

# With every limit, so that a quota that asks for limits takes these pods.
AGENT_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Runtime:
    """An administrator's preset: where a Run trains, or a model is served.

    Attributes:
        image: For Runs.
        serving_image: For Deployments; empty if the preset cannot serve.
        resources: Kubernetes resources a Run gets when it names none.
        tolerations: Added to the pod's own.
        packages: pip name → version installed in serving_image, for `Servable`.
    """

    name: str
    image: str = ""
    serving_image: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """How this operator was installed.

    Attributes:
        tracking_ca: PEM of the authority of the tracking service's certificate, which the pods that
            are made here get as well; empty: the machine's own, and none for pods.
        tracking_ca_file: Where that is.
        signing_key: PEM of the Ed25519 private key that signs tokens.
        agent_resources: Kubernetes resources of each container that publishes a model.
        run_as_user: UID for pods of user code; None means the image's own (never root).
        watch_namespaces: Empty means all.
        workers: How many resources of each kind are looked at at the same time.
        tracking_token_file: The operator's own service-account token.
    """

    tracking_url: str = "http://trainyard-tracking.trainyard-system.svc:5000"
    tracking_ca: str = field(default="", repr=False)
    tracking_ca_file: str = ""
    signing_key: str = field(default="", repr=False)
    agent_image: str = "docker.io/trainyard/agent:0.1.0"
    runtimes: Mapping[str, Runtime] = field(default_factory=dict)
    agent_resources: Mapping[str, Any] = field(default_factory=lambda: AGENT_RESOURCES)
    run_as_user: int | None = 10001
    fs_group: int | None = 10001
    job_ttl: int | None = 604_800
    namespace: str = "trainyard-system"
    watch_namespaces: tuple[str, ...] = ()
    lease_name: str = "trainyard-operator"
    identity: str = "trainyard-operator"
    http_port: int = 8081
    log_level: str = "INFO"
    log_format: str = "json"
    image_pull_policy: str = "IfNotPresent"
    workers: int = 16
    tracking_token_file: Path = SERVICE_ACCOUNT / "token"

    def runtime(self, name: str) -> Runtime:
        """Return a preset.

        Raises:
            Terminal: InvalidSpec, naming the presets there are.
        """
        if name in self.runtimes:
            return self.runtimes[name]
        known = ", ".join(sorted(self.runtimes)) or "none"
        raise Terminal(
            "InvalidSpec",
            f"spec.runtime: there is no runtime {name!r}; this installation has: {known}",
        )


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    """Read every TRAINYARD_* variable and the files that they name.

    Raises:
        ValueError: A variable is malformed; the message names it.
        OSError: A named file cannot be read.
    """
    default = Settings()
    text = _Texts(env)
    ca_file = text("CA_FILE", "")
    return Settings(
        tracking_url=text("TRACKING_URL", default.tracking_url).rstrip("/"),
        tracking_ca=authority.read(ca_file) if ca_file else "",
        tracking_ca_file=ca_file,
        signing_key=_file_text(text("SIGNING_KEY_FILE", "")),
        agent_image=text("AGENT_IMAGE", default.agent_image),
        agent_resources=text.mapping("AGENT_RESOURCES", default.agent_resources),
        runtimes=parse_runtimes(_file_text(text("RUNTIMES_FILE", ""))),
        run_as_user=text.number("RUN_AS_USER", default.run_as_user),
        fs_group=text.number("FS_GROUP", default.fs_group),
        job_ttl=text.number("JOB_TTL", default.job_ttl),
        namespace=text("NAMESPACE", default.namespace),
        watch_namespaces=tuple(
            each.strip() for each in text("WATCH_NAMESPACES", "").split(",") if each.strip()
        ),
        lease_name=text("LEASE_NAME", default.lease_name),
        identity=text("IDENTITY", socket.gethostname()),
        http_port=text.number("HTTP_PORT", default.http_port) or 0,
        log_level=text("LOG_LEVEL", default.log_level).upper(),
        log_format=text("LOG_FORMAT", default.log_format),
        image_pull_policy=text("IMAGE_PULL_POLICY", default.image_pull_policy),
        workers=text.number("WORKERS", default.workers) or default.workers,
        tracking_token_file=Path(text("TOKEN_FILE", str(default.tracking_token_file))),
    )


class _Texts:
    """TRAINYARD_<name> variables; a variable that is set to nothing counts as set."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __call__(self, name: str, default: str) -> str:
        return self._env.get(f"TRAINYARD_{name}", default).strip()

    def number(self, name: str, default: int | None) -> int | None:
        text = self(name, "" if default is None else str(default))
        if not text:
            return None
        try:
            return int(text)
        except ValueError as exc:
            raise ValueError(f"TRAINYARD_{name} must be a whole number, not {text!r}") from exc

    def mapping(self, name: str, default: Mapping[str, Any]) -> Mapping[str, Any]:
        read = yaml.safe_load(self(name, "")) or default
        if not isinstance(read, Mapping):
            raise ValueError(f"TRAINYARD_{name} must be a JSON object, not {read!r}")  # noqa: TRY004
        return read


def parse_runtimes(text: str) -> dict[str, Runtime]:
    """Return the presets of a YAML mapping {name: {image, servingImage, …}}.

    Raises:
        ValueError: A preset is not a mapping, or has a field that does not exist.
    """
    return {
        str(name): _runtime(str(name), preset)
        for name, preset in (yaml.safe_load(text) or {}).items()
    }


_FIELDS = {"image", "servingImage", "resources", "tolerations", "packages"}


def _runtime(name: str, preset: Any) -> Runtime:
    if not isinstance(preset, dict) or not set(preset) <= _FIELDS:
        raise ValueError(f"runtime {name!r} must be a mapping of {', '.join(sorted(_FIELDS))}")
    return Runtime(
        name=name,
        image=preset.get("image") or "",
        serving_image=preset.get("servingImage") or "",
        resources=preset.get("resources") or {},
        tolerations=tuple(preset.get("tolerations") or ()),
        packages={str(k): str(v) for k, v in (preset.get("packages") or {}).items()},
    )


def _file_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""
