"""The images that everything else stands on: pulled where a registry answers, else made."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from trainyard_cluster import paths
from trainyard_cluster.provider import provider
from trainyard_cluster.shell import StepFailed, output, run, step

DEBIAN_IMAGE = f"localhost/trainyard/debian:{paths.DEBIAN}"
PYTHON_IMAGE = "localhost/trainyard/python:3.13"
PUBLISHED_PYTHON = "docker.io/library/python:3.13-slim"
PULL_SECONDS = 30
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def pulled(image: str) -> bool:
    """Say whether *image* is here or can be pulled soon."""
    engine = provider()
    if engine.has_image(image):
        return True
    return bool(engine.output("pull", "--quiet", image, timeout=PULL_SECONDS))


@cache
def registry_reachable() -> bool:
    """Say whether a registry answers: asked once a cache, for a refusal takes its time too."""
    marker = paths.cache() / "no-registry"
    if marker.exists():
        return False
    if pulled(PUBLISHED_PYTHON):
        return True
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text("No container registry answered. Delete this file to have it tried again.\n")
    return False


def build_arguments() -> list[str]:
    """Return what makes TLS and package indexes of this machine work in a build, and only there."""
    words = ["--network=host"]
    if provider().name == "podman" and CERTIFICATES.exists():
        words.append(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro")
    for key in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_INDEX_URL",
        "http_proxy",
        "https_proxy",
    ):
        if os.environ.get(key):
            words.append(f"--build-arg={key}={os.environ[key]}")
    return words


def debian() -> str:
    """Return the name of a Debian image."""
    published = f"docker.io/library/debian:{paths.DEBIAN}-slim"
    if registry_reachable() and pulled(published):
        return published
    if not provider().has_image(DEBIAN_IMAGE):
        with step(f"Debian {paths.DEBIAN} base image", takes="a minute"):
            _debootstrap()
    return DEBIAN_IMAGE


def python() -> str:
    """Return the name of a Python 3.13 image."""
    if registry_reachable():
        return PUBLISHED_PYTHON
    base = debian()
    if not provider().has_image(PYTHON_IMAGE):
        with step("Python 3.13 base image", takes="a minute"):
            build("python", PYTHON_IMAGE, BASE=base)
    return PYTHON_IMAGE


def build(
    name: str, tag: str, *, context: Path | None = None, file: str = "Dockerfile", **args: str
) -> None:
    """Build `images/<name>` as *tag*."""
    folder = paths.REPOSITORY / "images" / name
    provider().run(
        "build",
        *build_arguments(),
        *(f"--build-arg={key}={value}" for key, value in args.items()),
        "--file",
        folder / file,
        "--tag",
        tag,
        context or folder,
        log=f"image-{name}",
        remedy="Mend what it says and run the same command again.",
    )


def _debootstrap() -> None:
    remedy = "Check that Debian's packages can be reached, and run this again."
    if not shutil.which("debootstrap"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise StepFailed("No registry answers and debootstrap is missing: install debootstrap.")
        run("apt-get", "install", "-y", "debootstrap", log="debian", remedy=remedy)
    folder = paths.cache() / f"work-{paths.DEBIAN}"
    if not (folder / "etc" / "debian_version").exists() or (folder / "debootstrap").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(
            "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            paths.DEBIAN,
            folder,
            _mirror(),
            log="debian",
            remedy=remedy,
        )
    engine = provider()
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as archive:
        done = subprocess.run(
            [engine.name, "import", "-", DEBIAN_IMAGE],
            stdin=archive.stdout,
            env=engine.environment,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise StepFailed(f"{engine.name} import of Debian: {done.stderr.decode()}")
    shutil.rmtree(folder)


def _mirror() -> str:
    """Return the mirror that this machine's own apt uses."""
    for line in output("apt-get", "indextargets", "--format", "$(SITE)").splitlines():
        if "debian" in line and "security" not in line:
            return line.strip()
    return "http://deb.debian.org/debian"
