"""The images that everything else stands on: pulled where a registry answers, else made."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from trainyard_cluster import paths
from trainyard_cluster.provider import provider
from trainyard_cluster.shell import StepError, output, run, step

LOCAL = "localhost/trainyard/"
DEBIAN_IMAGE = f"{LOCAL}debian:{paths.DEBIAN}-slim"
PYTHON_IMAGE = f"{LOCAL}python:3.13-slim"
PUBLISHED_DEBIAN = f"docker.io/library/debian:{paths.DEBIAN}-slim"
PUBLISHED_PYTHON = "docker.io/library/python:3.13-slim"
ASK_SECONDS = 20
ASK_AGAIN_SECONDS = 24 * 3600
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INDEX_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
)
# What slim images leave out, and the caches that the packages of our own images would leave.
SLIM = {
    "etc/dpkg/dpkg.cfg.d/slim": (
        "path-exclude /usr/share/doc/*\n"
        "path-include /usr/share/doc/*/copyright\n"
        "path-exclude /usr/share/man/*\n"
        "path-exclude /usr/share/locale/*\n"
    ),
    "etc/apt/apt.conf.d/slim": (
        'DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb";};\n'
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    ),
}
LEFT_OUT = (
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/locale/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
)


@cache
def registry_reachable() -> bool:
    """Say whether a registry answers; a refusal is believed for a day, for it takes its time."""
    engine = provider()
    if engine.has_image(PUBLISHED_PYTHON):
        return True
    marker = paths.cache() / "no-registry"
    if marker.exists() and time.time() - marker.stat().st_mtime < ASK_AGAIN_SECONDS:
        return False
    with step("Ask whether a container registry can be reached", takes=f"{ASK_SECONDS} s at most"):
        if engine.output("manifest", "inspect", PUBLISHED_PYTHON, timeout=ASK_SECONDS):
            marker.unlink(missing_ok=True)
            return True
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text("No container registry answered. Delete this file to have it asked again.\n")
    return False


@contextmanager
def build_arguments() -> Iterator[list[str]]:
    """Give what makes TLS and package indexes of this machine work in a build, and only there.

    They are secrets of the build: neither a certificate nor an index's password reaches a layer.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "build.env"
        file.write_text(build_environment(os.environ, certificates=CERTIFICATES.exists()))
        words = ["--network=host", f"--secret=id=build,src={file}"]
        if CERTIFICATES.exists():
            words.append(f"--secret=id=certificates,src={CERTIFICATES}")
        yield words


def build_environment(environ: Mapping[str, str], *, certificates: bool) -> str:
    """Return the shell file that a build's RUN reads before it downloads."""
    lines = [
        f"export {key}={shlex.quote(environ[key])}"
        for key in INDEX_VARIABLES
        if environ.get(key, "").strip()
    ]
    if certificates:
        mounted = "/run/certificates"
        lines.append(f"export PIP_CERT={mounted} SSL_CERT_FILE={mounted} CURL_CA_BUNDLE={mounted}")
    return "".join(f"{line}\n" for line in lines)


def debian() -> str:
    """Return the name of a Debian image."""
    if registry_reachable():
        return PUBLISHED_DEBIAN
    if not provider().has_image(DEBIAN_IMAGE):
        with step(f"Debian {paths.DEBIAN} base image", takes="1 minute"):
            _debootstrap()
    return DEBIAN_IMAGE


def python() -> str:
    """Return the name of a Python 3.13 image."""
    if registry_reachable():
        return PUBLISHED_PYTHON
    below = debian()
    if not provider().has_image(PYTHON_IMAGE):
        with step("Python 3.13 base image", takes="1 minute"), build_arguments() as arguments:
            folder = paths.REPOSITORY / "images" / "python"
            provider().run(
                "build",
                *arguments,
                f"--build-arg=BASE={below}",
                f"--tag={PYTHON_IMAGE}",
                folder,
                log="image-python",
                remedy="Check that Debian's packages can be reached, and run this again.",
            )
    return PYTHON_IMAGE


def _debootstrap() -> None:
    remedy = "Check that Debian's packages can be reached, and run this again."
    if not shutil.which("debootstrap"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise StepError("No registry answers and debootstrap is missing: install debootstrap.")
        run("apt-get", "install", "-y", "debootstrap", log="debian", remedy=remedy)
    with TemporaryDirectory(dir=paths.cache(), prefix="debian-") as name:
        root = Path(name) / "root"
        words = ("debootstrap", "--variant=minbase", "--include=ca-certificates")
        run(*words, paths.DEBIAN, root, _mirror(), log="debian", remedy=remedy)
        for file, text in SLIM.items():
            (root / file).write_text(text)
        _import(root)


def _import(root: Path) -> None:
    engine = provider()
    excludes = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    archiver = ["tar", "-C", str(root), *excludes, "-c", "."]
    with subprocess.Popen(archiver, stdout=subprocess.PIPE) as archive:
        done = subprocess.run(
            [engine.name, "import", "-", DEBIAN_IMAGE],
            stdin=archive.stdout,
            env=engine.environment,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise StepError(f"{engine.name} import failed: {done.stderr.decode()}")


def _mirror() -> str:
    """Return the mirror that this machine's own apt uses."""
    for line in output("apt-get", "indextargets", "--format", "$(SITE)").splitlines():
        if "debian" in line and "security" not in line:
            return line.strip()
    return "http://deb.debian.org/debian"
