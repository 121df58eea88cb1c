"""The node image: kind's own where it can be pulled, else one built from Go modules."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard_cluster import base, paths, tools
from trainyard_cluster.provider import provider
from trainyard_cluster.shell import StepError, output, step

CONTEXT = paths.REPOSITORY / "images" / "node"
ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'
REMEDY = "Run the same command again: finished parts are kept."


def node_image() -> str | None:
    """Return the node image to give to kind; nothing where kind's own default can be pulled."""
    if base.registry_reachable():
        return None
    tag = f"localhost/trainyard/node:{paths.KUBERNETES}-{fingerprint()}"
    if not provider().has_image(tag):
        binary = tools.kubernetes()
        system = base.debian()
        with step("Node image", takes="2 minutes"):
            _build(tag, binary, system)
    return tag


def fingerprint() -> str:
    """Return a short hash of all that the node image is made from."""
    digest = hashlib.sha256(f"{paths.KUBERNETES} {paths.KIND}".encode())
    for file in sorted(CONTEXT.iterdir()):
        digest.update(file.read_bytes())
    digest.update((tools.KUBERNETES_SOURCE / "main.go").read_bytes())
    return digest.hexdigest()[:12]


def _build(tag: str, binary: Path, system: str) -> None:
    bare = f"{tag}-bare"
    with (
        base.build_arguments() as arguments,
        tempfile.TemporaryDirectory(dir=paths.cache()) as folder,
    ):
        context = Path(folder)
        shutil.copytree(_kind_source() / "images" / "base" / "files", context / "files")
        for folder_or_file in context.rglob("*"):  # a module's files are read-only
            folder_or_file.chmod(0o755 if folder_or_file.is_dir() else 0o644)
        for name in ("10-ptp.conflist", "hostpath.service"):
            shutil.copy(CONTEXT / name, context)
        os.link(binary, context / "kubernetes")
        for target in ("components", "coredns", "pause", "node"):
            name = bare if target == "node" else f"localhost/trainyard/{target}:{paths.KUBERNETES}"
            provider().run(
                "build",
                *arguments,
                f"--build-arg=BASE={system}",
                f"--build-arg=KUBERNETES={paths.KUBERNETES}",
                f"--target={target}",
                "--file",
                CONTEXT / "Dockerfile",
                "--tag",
                name,
                context,
                log="node",
                remedy=REMEDY,
            )
    _preload(bare, tag)


def _kind_source() -> Path:
    """Return the folder of kind's module: its node files are used from there, not copied here."""
    go = tools.go()
    answer = output(go, "mod", "download", "-json", f"sigs.k8s.io/kind@{paths.KIND}", timeout=300)
    if not answer:
        raise StepError(f"kind's module can't be downloaded. {tools.GO_REMEDY}")
    return Path(json.loads(answer)["Dir"])


def control_plane_images() -> dict[str, str]:
    """Return the image that serves for each name that kubeadm pulls."""
    kubeadm = tools.assets() / "kubeadm"
    listed = output(kubeadm, "config", "images", "list", "--kubernetes-version", paths.KUBERNETES)
    images = {}
    for name in listed.split():
        part = name.rpartition("/")[2].partition(":")[0]
        target = part if part in ("coredns", "pause") else "components"
        images[name] = f"localhost/trainyard/{target}:{paths.KUBERNETES}"
    return images


def _preload(bare: str, tag: str) -> None:
    """Put the control plane's images into the node image's own containerd."""
    engine = provider()
    images = control_plane_images()
    for name, source in images.items():
        engine.run("tag", source, name, log="node", remedy=REMEDY)
    with _container(bare) as container, tempfile.TemporaryDirectory(dir=paths.cache()) as folder:
        archive = Path(folder) / "images.tar"
        save = ["save", "--output", str(archive)]
        if engine.name == "podman":
            save[1:1] = ["--format", "docker-archive", "--multi-image-archive"]
        engine.run(*save, *images, log="node", remedy=REMEDY)
        shell = (
            "containerd >/var/log/containerd.log 2>&1 & "
            "for i in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.2; done; "
            "ctr -n k8s.io images import --no-unpack - && kill %1 && wait; true"
        )
        with archive.open("rb") as file:
            subprocess.run(
                [engine.name, "exec", "-i", container, "bash", "-c", shell],
                stdin=file,
                env=engine.environment,
                check=True,
                capture_output=True,
            )
        engine.run("commit", "--change", ENTRYPOINT, container, tag, log="node", remedy=REMEDY)
    for name in images:
        engine.output("untag" if engine.name == "podman" else "rmi", name)


@contextmanager
def _container(image: str) -> Iterator[str]:
    engine = provider()
    name = engine.output(
        "run", "--detach", "--privileged", "--entrypoint", "sleep", image, "3600"
    ).strip()
    if not name:
        raise StepError(f"{engine.name} run --privileged {image} failed: run it to see why.")
    try:
        yield name
    finally:
        engine.output("rm", "--force", name)
