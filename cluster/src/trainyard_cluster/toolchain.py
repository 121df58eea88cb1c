"""Go where there is none: the module proxy serves whole toolchains as a module.

https://go.dev/doc/toolchain: module golang.org/toolchain, version v0.0.1-goVERSION.OS-ARCH.
"""

import os
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from trainyard_cluster import paths
from trainyard_cluster.shell import StepError, step

DEFAULT_PROXY = "https://proxy.golang.org"


def install_go() -> str:
    """Return the `go` of a toolchain in the cache, fetched if missing.

    Raises:
        StepError: no proxy serves it.
    """
    folder = paths.cache() / f"go-{paths.GO}"
    binary = folder / "bin" / "go"
    if not binary.exists():
        with step(f"Go {paths.GO} from the module proxy", takes="30 s"):
            _fetch(folder)
    return str(binary)


def _fetch(folder: Path) -> None:
    version = f"v0.0.1-go{paths.GO}.linux-{paths.architecture()}"
    proxy = os.environ.get("GOPROXY", DEFAULT_PROXY).replace("|", ",").split(",")[0]
    if not proxy.startswith("http"):
        proxy = DEFAULT_PROXY
    url = f"{proxy}/golang.org/toolchain/@v/{version}.zip"
    archive = folder.with_suffix(".zip")
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, archive.open("wb") as file:  # noqa: S310  # http or https, checked above
            shutil.copyfileobj(answer, file)
    except (OSError, urllib.error.URLError) as error:
        raise StepError(f"{url}: {error}. Install Go {paths.GO} and run this again.") from error
    part = folder.with_suffix(".part")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(part)
    inner = part / f"golang.org/toolchain@{version}"
    for program in [*(inner / "bin").iterdir(), *(inner / "pkg" / "tool").rglob("*")]:
        program.chmod(0o755)
    inner.rename(folder)
    shutil.rmtree(part)
    archive.unlink()
