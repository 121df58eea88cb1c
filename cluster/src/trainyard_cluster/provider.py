"""Docker or Podman: whichever works, installed where neither does."""

import os
import resource
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from trainyard_cluster import paths
from trainyard_cluster.shell import StepError, output, run, step

PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "uidmap", "iptables")


@dataclass(frozen=True, slots=True)
class Provider:
    """A container engine, and the environment that our calls of it and of kind need."""

    name: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.env

    def run(self, *words: str | Path, log: str, remedy: str) -> None:
        """Run the engine with *words*; see `shell.run`."""
        run(self.name, *words, log=log, remedy=remedy, env=self.environment)

    def output(self, *words: str, timeout: float = 60) -> str:
        """Return what the engine prints, or nothing if it fails."""
        return output(self.name, *words, env=self.environment, timeout=timeout)

    def has_image(self, name: str) -> bool:
        return bool(self.output("image", "inspect", "--format", "{{.Id}}", name))


@cache
def provider() -> Provider:
    """Return the engine that works here; install Podman on Debian if none does.

    Raises:
        StepError: none works and none can be installed.
    """
    if output("docker", "info", "--format", "{{.ServerVersion}}", timeout=20).strip():
        return Provider("docker")
    if not shutil.which("podman"):
        _install_podman()
    podman = Provider("podman", _podman_environment())
    if not podman.output("info", "--format", "{{.Version.Version}}"):
        raise StepError(
            "Podman is installed but `podman info` fails: run it and mend what it says."
        )
    return podman


def _install_podman() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise StepError(
            "No working Docker or Podman. Start Docker, or install Podman, and run this again."
        )
    with step("Podman from Debian's packages", takes="20 s"):
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        remedy = "Check /etc/apt/sources.list, or install Podman yourself, and run this again."
        run("apt-get", "update", log="podman", remedy=remedy, env=env)
        install = ("apt-get", "install", "-y", "--no-install-recommends")
        run(*install, *PACKAGES, log="podman", remedy=remedy, env=env)


def _podman_environment() -> dict[str, str]:
    """Point Podman at a configuration of ours, beside the user's.

    Podman lowers its own limits first; a runtime without CAP_SYS_RESOURCE can't raise them again,
    so containers are asked for what we have. crun refuses hybrid control groups; runc does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes = min(32768, int(Path("/proc/sys/kernel/pid_max").read_text()))
    lines = [
        "[containers]",
        f'default_ulimits = ["nofile={soft}:{hard}", "nproc={processes}:{processes}"]',
        *(["[engine]", 'runtime = "runc"'] if shutil.which("runc") else []),
    ]
    file = paths.cache() / "containers.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return {"CONTAINERS_CONF": str(file), "KIND_EXPERIMENTAL_PROVIDER": "podman"}
