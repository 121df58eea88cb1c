"""What the cluster tests share: kubectl as a function, and Runs of a line of shell."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Object = dict[str, Any]
SYSTEM = "trainyard-system"
SHELL_IMAGE = "docker.io/trainyard/agent:0.1.0"


def command(
    environment: dict[str, str],
    *words: str,
    expect: int = 0,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = 600,
) -> str:
    """Run *words*, and return what they printed; fail with it on another exit code."""
    done = subprocess.run(
        words,
        env=environment,
        cwd=cwd,
        input=stdin,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == expect, f"{' '.join(words)} → {done.returncode}\n{output}"
    return output


@contextmanager
def background(environment: dict[str, str], *words: str, until: str) -> Iterator[str]:
    """Run *words* for as long as the block; give what *until* finds in their first lines."""
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _printed(process, until)
        finally:
            process.terminate()


def _printed(process: "subprocess.Popen[str]", pattern: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found.group(1)
        said += line
    raise AssertionError(f"{process.args!r} ended without {pattern!r}:\n{said}")


@contextmanager
def namespace(environment: dict[str, str], name: str) -> "Iterator[Kubectl]":
    """Make a fresh namespace with restricted pods, and take it away at the end."""
    kube = Kubectl(environment, name)
    gone = ("kubectl", "delete", "namespace", name, "--ignore-not-found")
    command(environment, *gone, "--wait")
    kube("create", "namespace", name)
    kube("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield kube
    finally:
        command(environment, *gone, "--wait=false")


class Kubectl:
    """kubectl in one namespace."""

    def __init__(self, environment: dict[str, str], namespace: str) -> None:
        self.environment = environment
        self.namespace = namespace

    def __call__(self, *words: str, expect: int = 0, stdin: str | None = None) -> str:
        """Run `kubectl *words*` in the namespace, and return what it printed."""
        namespaced = ("kubectl", "-n", self.namespace, *words)
        return command(self.environment, *namespaced, expect=expect, stdin=stdin)

    def trainyard(self, *words: str, expect: int = 0, cwd: Path | None = None) -> str:
        """Run `trainyard *words*` with the namespace."""
        namespaced = ("trainyard", words[0], "-n", self.namespace, *words[1:])
        return command(self.environment, *namespaced, expect=expect, cwd=cwd)

    def apply(self, *objects: Object) -> None:
        """Apply *objects*."""
        self(
            "apply",
            "-f",
            "-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
        )

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        got: Object = json.loads(self("get", kind, name, "-o", "json"))
        return got

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """Return the objects of *kind* that *selector* matches."""
        items: list[Object] = json.loads(self("get", kind, "-l", selector, "-o", "json"))["items"]
        return items

    def wait(
        self, kind: str, name: str, until: Callable[[Object], Any], *, seconds: float = 120
    ) -> Object:
        """Return the object as soon as *until* it holds; fail with its status after *seconds*."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.get(kind, name)
            if until(seen):
                return seen
            assert time.monotonic() < deadline, (
                f"{kind}/{name} after {seconds} s:\n{json.dumps(seen.get('status'), indent=1)}"
            )
            time.sleep(0.25)

    def finished(self, name: str, *, seconds: float = 120) -> Object:
        """Return the Run as soon as it is finished."""
        return self.wait(
            "run", name, lambda run: status_of(run, "Finished") == "True", seconds=seconds
        )

    def recorded(self, name: str, *, seconds: float = 120) -> Object:
        """Return the Run as soon as its log and metrics are archived."""
        return self.wait(
            "run", name, lambda run: status_of(run, "Recorded") == "True", seconds=seconds
        )


def condition(resource: Object, kind: str) -> Object:
    """Return the condition of type *kind*, or an empty one."""
    conditions = resource.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def status_of(resource: Object, kind: str) -> str:
    """Return a condition's status, or nothing."""
    return str(condition(resource, kind).get("status", ""))


def shell_run(name: str, script: str, **spec: Any) -> Object:
    """Return a Run of a line of shell."""
    return script_run(name, ["sh", "-c", script], **({"image": SHELL_IMAGE} | spec))


def script_run(name: str, words: list[str], **spec: Any) -> Object:
    """Return a Run of *words*."""
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name},
        "spec": {"experiment": "e2e", "command": words} | spec,
    }


def sources(name: str, **files: str) -> Object:
    """Return a ConfigMap of Python files: `train="…"` becomes train.py."""
    data = {f"{file}.py": text for file, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
