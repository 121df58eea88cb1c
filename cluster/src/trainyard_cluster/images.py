"""Build the images that changed, and load those that the cluster lacks, in one go.

An image is known by the hash of its Dockerfile, its base, its dependencies and its code; the code
is its last layer, so that a change of code costs seconds.
"""

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import yaml

from trainyard_cluster import base, paths, tools
from trainyard_cluster.provider import provider
from trainyard_cluster.shell import StepError, console, run, step

REGISTRY = "docker.io/trainyard"
LABEL = "trainyard.dev/inputs"
CODE = {
    "trainyard_agent": "agent",
    "trainyard_api": "crds",
    "trainyard_operator": "operator",
    "trainyard_serving": "serving",
    "trainyard_tracking": "tracking",
}
# pip, because MLflow asks for its version and people for `pip freeze`.
TRAINING = ("mlflow-skinny", "numpy", "pandas", "pip", "scikit-learn", "skops", "matplotlib")


@dataclass(frozen=True, slots=True)
class Image:
    """What an image is made from; `base` is an image's name or how to get one.

    Attributes:
        folder: The one below images/ that has its Dockerfile.
        target: Which of the images that the Dockerfile makes; the last of it if none is named.
        runtime: The preset of the chart that says which versions it has; models are checked so.
        asked: It is made when it is named only.
    """

    folder: str = "trainyard"
    target: str = ""
    base: str | Callable[[], str] = base.python
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    runtime: str = ""
    binary: Callable[[], Path] | None = None
    takes: str = "1 minute"
    asked: bool = False


IMAGES = {
    "operator": Image(
        target="operator",
        extras=("operator",),
        requirements=("pydantic", "pyyaml"),
        packages=("trainyard_api", "trainyard_operator"),
    ),
    "tracking": Image(
        target="tracking",
        extras=("tracking",),
        requirements=("httpx", "kubernetes", "pydantic", "pyyaml"),
        packages=("trainyard_api", "trainyard_tracking"),
        takes="2 minutes",
    ),
    "agent": Image(
        target="agent", requirements=("pyyaml",), packages=("trainyard_agent", "trainyard_api")
    ),
    "runtime-sklearn": Image(target="runtime", requirements=TRAINING, runtime="sklearn"),
    "serving-sklearn": Image(
        target="serving",
        base="runtime-sklearn",
        extras=("serving",),
        requirements=("pydantic",),
        packages=("trainyard_api", "trainyard_serving"),
        runtime="sklearn",
    ),
    "minio": Image("minio", base=base.debian, binary=tools.minio, takes="5 s"),
    "prometheus": Image("prometheus", base=base.debian, takes="30 s"),
    "postgres": Image("postgres", base=base.debian, asked=True),
}


def build_and_load(names: Iterable[str]) -> None:
    """Build what changed of *names* and load it into the cluster.

    Raises:
        StepError: a name is unknown, or a build or the load failed.
    """
    wanted = list(names)
    for name in wanted:
        if name not in IMAGES:
            raise StepError(f"no image {name}: one of {', '.join(IMAGES)}")
        built(name)
    load([tag(name) for name in wanted])


def usual() -> list[str]:
    """Return the names of the images that an installation needs."""
    return [name for name, image in IMAGES.items() if not image.asked]


def version() -> str:
    """Return the project's version, which is every image's tag."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def tag(name: str) -> str:
    """Return the full name of the image *name*."""
    return f"{REGISTRY}/{name}:{version()}"


def requirements(image: Image) -> list[str]:
    """Return the lines of the image's requirements.txt, as pyproject.toml pins them."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    everything = [*chain.from_iterable(extras.values()), *project["dependencies"]]
    known = {_bare(line): line for line in everything}
    lines = {line for extra in image.extras for line in extras[extra]}
    lines |= {known.get(name, name) for name in image.requirements}
    return sorted(lines)


def constraints(image: Image) -> list[str]:
    """Return the lines of the image's constraints.txt: the versions that the chart says it has."""
    if not image.runtime:
        return []
    values = yaml.safe_load((paths.REPOSITORY / "charts/trainyard/values.yaml").read_text())
    versions: dict[str, str] = values["runtimes"][image.runtime]["packages"]
    return [f"{name}=={version}" for name, version in versions.items() if name != "python"]


def _bare(requirement: str) -> str:
    for mark in "<>=[!~; ":
        requirement = requirement.partition(mark)[0]
    return requirement


def built(name: str) -> str:
    """Return the full name of the image *name*, built unless nothing changed since."""
    image = IMAGES[name]
    below = built(image.base) if isinstance(image.base, str) else image.base()
    inputs = fingerprint(image, below)
    engine = provider()
    if inputs_of(name) == inputs:
        return tag(name)
    binary = image.binary() if image.binary else None
    with (
        step(f"Image {name}", takes=image.takes),
        base.build_arguments() as arguments,
        tempfile.TemporaryDirectory() as folder,
    ):
        context = Path(folder)
        _lay(context, image, binary)
        engine.run(
            "build",
            *arguments,
            f"--build-arg=BASE={below}",
            *([f"--target={image.target}"] if image.target else []),
            f"--label={LABEL}={inputs}",
            "--tag",
            tag(name),
            "--file",
            dockerfile(image),
            context,
            log=f"image-{name}",
            remedy="Mend what it says and run the same command again.",
        )
    return tag(name)


def inputs_of(name: str) -> str:
    """Return what the image *name* was built from, as a short hash; nothing if it is not there."""
    template = '{{index .Config.Labels "' + LABEL + '"}}'
    return provider().output("image", "inspect", "--format", template, tag(name)).strip()


def _lay(context: Path, image: Image, binary: Path | None) -> None:
    """Lay the build context out: requirements, code, binary."""
    (context / "requirements.txt").write_text("\n".join(requirements(image)) + "\n")
    (context / "constraints.txt").write_text("\n".join(constraints(image)) + "\n")
    ignore = shutil.ignore_patterns("__pycache__")
    for package in image.packages:
        shutil.copytree(source(package), context / "code" / package, ignore=ignore)
    if binary:
        shutil.copy(binary, context / image.folder)


def dockerfile(image: Image) -> Path:
    """Return the file that *image* is built by."""
    return paths.REPOSITORY / "images" / image.folder / "Dockerfile"


def source(package: str) -> Path:
    """Return the folder of an import package."""
    return paths.REPOSITORY / CODE[package] / "src" / package


def fingerprint(image: Image, below: str) -> str:
    """Return a short hash of everything that goes into *image*."""
    digest = hashlib.sha256()
    identity = provider().output("image", "inspect", "--format", "{{.Id}}", below)
    lines = [identity or below, *requirements(image), *constraints(image), image.target]
    lines.append(paths.MINIO)
    digest.update("\n".join(lines).encode())
    digest.update(dockerfile(image).read_bytes())
    for package in image.packages:
        root = source(package)
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            if "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def remove() -> None:
    """Remove every image that was made here, and the network that kind made for its nodes."""
    engine = provider()
    with step("Remove the images", takes="10 s"):
        names = engine.output("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        ours = [name for name in names if name.startswith((f"{REGISTRY}/", base.LOCAL))]
        if ours:
            engine.output("image", "rm", "--force", *ours, timeout=300)
        # What a later build took the name of.
        engine.output("image", "prune", "--force", "--filter", f"label={LABEL}", timeout=300)
        engine.output("network", "rm", "kind")  # stays where another cluster uses it


def load(tags: list[str]) -> None:
    """Load what the cluster's node lacks of *tags*; shared layers travel once."""
    engine = provider()
    container = engine.output("inspect", "--format", "{{.Id}}", paths.NODE).strip()
    if not container:
        raise StepError("The cluster is not there: `make cluster` makes it.")
    record = paths.cache() / "loaded.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    loaded: dict[str, str] = known.get(container, {})
    ids = {
        name: engine.output("image", "inspect", "--format", "{{.Id}}", name).strip()
        for name in tags
    }
    missing = [name for name in tags if loaded.get(name) != ids[name]]
    if not missing:
        console.print("  • All images are loaded")
        return
    with step(f"Load {len(missing)} images into the cluster", takes=f"{8 * len(missing)} s"):
        _transfer(missing)
    record.write_text(json.dumps({container: loaded | ids}))


def _transfer(tags: list[str]) -> None:
    engine = provider()
    remedy = "Is the disk full? Then free some; and run this again."
    with tempfile.TemporaryDirectory(dir=paths.cache()) as folder:
        archive = Path(folder) / "images.tar"
        save: list[str | Path] = ["save", "--output", archive]
        if engine.name == "podman":
            save[1:1] = ["--format", "docker-archive", "--multi-image-archive"]
        engine.run(*save, *tags, log="load", remedy=remedy)
        run(
            tools.kind(),
            "load",
            "image-archive",
            archive,
            "--name",
            paths.CLUSTER,
            env=engine.environment,
            log="load",
            remedy=remedy,
        )
