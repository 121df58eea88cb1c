"""Type commands as a user would, and show each with what it printed."""

import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from trainyard_cluster import paths, tools
from trainyard_cluster.shell import StepError

EXAMPLE = paths.REPOSITORY / "examples" / "01-first-model"


def run(command: str, *, expect: int = 0, quiet: bool = False, stdin: str | None = None) -> str:
    """Run *command* in the first example's folder, and return what it printed.

    Both are shown unless *quiet*.

    Raises:
        StepError: it ended with another code than *expect*.
    """
    if not quiet:
        print(f"\033[36m$ {command}\033[0m", flush=True)
    done = subprocess.run(
        shlex.split(command),
        env=_environment(),
        cwd=EXAMPLE,
        text=True,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if not quiet:
        # Helm warns on standard error of every watch that it ends itself.
        is_helm = Path(shlex.split(command)[0]).name.startswith("helm")
        noisy = is_helm and done.returncode == expect
        print((done.stdout + ("" if noisy else done.stderr)).rstrip(), flush=True)
    if done.returncode != expect:
        if quiet:
            print(done.stdout + done.stderr)
        raise StepError(f"`{command}` ended with {done.returncode}, not {expect}: see above.")
    return done.stdout


@cache
def _environment() -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}:{tools.kubectl().parent}:{os.environ['PATH']}"
    return os.environ | {"KUBECONFIG": str(paths.kubeconfig()), "PATH": programs}
