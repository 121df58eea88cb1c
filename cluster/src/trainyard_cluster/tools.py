"""The binaries: taken if there, built from Go modules if not."""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from trainyard_cluster import paths
from trainyard_cluster.shell import output, run, step

KUBERNETES_SOURCE = paths.REPOSITORY / "cluster" / "kubernetes"
KUBERNETES_COMMANDS = (
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
    "pause",
)
GO_REMEDY = (
    f"Install Go {paths.GO} or newer, or see that the Go module proxy (GOPROXY) can be reached;"
    " then run the same command again: it goes on here."
)


@cache
def go() -> str:
    """Return a Go that is new enough; an older one fetches its own newer toolchain."""
    found = shutil.which("go") or next(
        (str(path) for path in [Path("/usr/local/go/bin/go")] if path.exists()), None
    )
    if found:
        return found
    from trainyard_cluster.toolchain import install_go  # noqa: PLC0415  # only where none is

    return install_go()


def kubernetes() -> Path:
    """Return the binary that is every Kubernetes component, by its `argv[0]`."""
    binary = paths.binaries() / f"kubernetes-{paths.KUBERNETES}"
    if not binary.exists():
        with step(f"Kubernetes {paths.KUBERNETES} from Go modules", takes="7 minutes on 2 cores"):
            _build_kubernetes(binary)
    return binary


def _build_kubernetes(binary: Path) -> None:
    major, minor, _ = paths.KUBERNETES.removeprefix("v").split(".")
    flags = ["-s", "-w"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        for key, value in (
            ("gitVersion", paths.KUBERNETES),
            ("gitMajor", major),
            ("gitMinor", minor),
        ):
            flags += ["-X", f"{package}.{key}={value}"]
    part = binary.with_suffix(".part")
    run(
        go(),
        "build",
        "-trimpath",
        "-ldflags",
        " ".join(flags),
        "-o",
        part,
        ".",
        cwd=KUBERNETES_SOURCE,
        env=os.environ | {"CGO_ENABLED": "0"},
        log="kubernetes",
        remedy=GO_REMEDY,
    )
    part.rename(binary)


def _installed(name: str, module: str, version: str, *, takes: str) -> Path:
    """Return `name` of the Go module at *version*, built into the cache if missing."""
    binary = paths.binaries() / f"{name}-{version}"
    if binary.exists():
        return binary
    with (
        step(f"{name} {version} from its Go module", takes=takes),
        tempfile.TemporaryDirectory(dir=paths.cache()) as folder,
    ):
        run(
            go(),
            "install",
            "-trimpath",
            "-ldflags",
            "-s -w",
            f"{module}@{version}",
            env=os.environ | {"CGO_ENABLED": "0", "GOBIN": folder},
            log=name,
            remedy=GO_REMEDY,
        )
        (Path(folder) / name).rename(binary)
    return binary


def kind() -> Path:
    """Return kind of the pinned version: the one on the PATH, or built."""
    found = shutil.which("kind")
    if found and paths.KIND in output(found, "version"):
        return Path(found)
    return _installed("kind", "sigs.k8s.io/kind", paths.KIND, takes="40 s")


def helm() -> Path:
    """Return Helm: version 4 of the PATH, or built."""
    found = shutil.which("helm")
    if found and output(found, "version", "--short").startswith("v4."):
        return Path(found)
    return _installed("helm", "helm.sh/helm/v4/cmd/helm", paths.HELM, takes="3 minutes")


def minio() -> Path:
    """Return the MinIO server."""
    return _installed("minio", "github.com/minio/minio", paths.MINIO, takes="4 minutes")


def kwok() -> Path:
    """Return kwok, which plays nodes for scale tests."""
    return _installed("kwok", "sigs.k8s.io/kwok/cmd/kwok", paths.KWOK, takes="2 minutes")


def assets() -> Path:
    """Return a folder with etcd, kube-apiserver and kubectl: the layout of KUBEBUILDER_ASSETS."""
    folder = paths.cache() / f"kubernetes-{paths.KUBERNETES}"
    folder.mkdir(parents=True, exist_ok=True)
    binary = kubernetes()
    for name in KUBERNETES_COMMANDS:
        link = folder / name
        if not link.is_symlink() or link.readlink() != binary:
            link.unlink(missing_ok=True)
            link.symlink_to(binary)
    return folder


def kubectl() -> Path:
    """Return kubectl of the cluster's own version."""
    return assets() / "kubectl"
