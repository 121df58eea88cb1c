"""From a local cluster to a trained, gated, promoted, served and monitored model.

Types the commands that a user would type and shows each; `make quickstart` makes the cluster
and the images first. Safe to run again: every step is an `apply` or a wait.
"""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard_cluster import paths, tools
from trainyard_cluster.images import inputs_of
from trainyard_cluster.shell import StepError
from trainyard_cluster.typed import run

seconds: dict[str, float] = {}


def install() -> None:
    """Install the chart, or upgrade it to what is there now.

    `TRAINYARD_VALUES` may name a file with values of one's own for it, from the folder that it is
    called in.
    """
    # Images of a local build keep their tag; the annotation restarts what was built anew.
    built = " ".join(
        f"--set-string {name}.podAnnotations.image={inputs_of(name)}"
        for name in ("operator", "tracking", "minio", "prometheus")
    )
    own = os.environ.get("TRAINYARD_VALUES", "")
    # What is typed is split into words, and typed in another folder.
    values = f"--values {shlex.quote(str(Path(own).absolute()))}" if own else ""
    chart = shlex.quote(str(paths.REPOSITORY / "charts" / "trainyard"))
    with _step("Install the chart"):
        run(
            f"{shlex.quote(str(tools.helm()))} upgrade --install trainyard {chart}"
            f" --namespace {paths.SYSTEM} --create-namespace"
            f" --set localUser.enabled=true {built} {values} --wait --timeout 5m"
        )


def quickstart() -> None:
    """Install the chart, and take the first example all the way.

    Raises:
        StepError: a command ended otherwise than it should.
    """
    from trainyard_cluster import asking  # noqa: PLC0415  # scikit-learn, which installing needs not

    install()
    with _step("Train two models"):
        _train()
    with _step("Publish both, refuse the weak one"):
        weak, good = _publish()
        print("\nIs the weak one good enough for production? The gate says:")
        run(f"trainyard promote digits {weak} --to production", expect=1)
    with _step("Promote the good one"):
        run(f"trainyard promote digits {good} --to production")
    with _step("Serve it"):
        run("kubectl apply -f deployment.yaml")
        run("kubectl wait --for=condition=Available mdep/digits --timeout=180s")
        run("kubectl get mdep")
        asking.reached()
    with _step(f"Send {asking.REQUESTS} requests"):
        before = asking.counted()
        asking.predict()
        asking.load(before)
    _summary(good)


@contextmanager
def _step(title: str) -> Iterator[None]:
    print(f"\n\033[1m==> {title}\033[0m", flush=True)
    start = time.monotonic()
    yield
    seconds[title] = time.monotonic() - start


def _train() -> None:
    manifest = run(
        "kubectl create configmap digits-source --from-file=train.py --dry-run=client -o yaml",
        quiet=True,
    )
    run("kubectl apply -f -", stdin=manifest)
    run("kubectl apply -f experiment.yaml -f model.yaml -f runs.yaml")
    run("kubectl wait --for=condition=Finished run/digits-shallow run/digits-deep --timeout=180s")
    run("kubectl wait --for=condition=Recorded run/digits-shallow run/digits-deep --timeout=60s")
    run("kubectl get runs")
    run("trainyard compare digits-shallow digits-deep")


def _publish() -> tuple[int, int]:
    versions = [_version_of("digits-shallow"), _version_of("digits-deep")]
    names = " ".join(f"modelversion/digits-{version}" for version in versions)
    run(f"kubectl wait --for=condition=Published {names} --timeout=180s")
    run("kubectl get modelversions")
    return versions[0], versions[1]


def _version_of(name: str) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        version = run(f"kubectl get run {name} -o jsonpath={{.status.modelVersion}}", quiet=True)
        if version:
            return int(version.rpartition("-")[2])
        time.sleep(0.3)
    raise StepError(f"Run {name} registered no version: kubectl describe run {name}")


def _summary(good: int) -> None:
    print("\n\033[1mSeconds per step\033[0m")
    for title, taken in seconds.items():
        print(f"  {taken:6.1f}  {title}")
    print(f"  {sum(seconds.values()):6.1f}  in all, after the cluster and its images")
    print(f"""
\033[1mWhat next?\033[0m
  export KUBECONFIG={paths.kubeconfig()} PATH=$PWD/.venv/bin:{tools.kubectl().parent}:$PATH
  trainyard status                                     # what runs, what is held, what serves
  trainyard run examples/01-first-model -p max_depth=8 # train another, from this folder
  trainyard proxy                                      # MLflow's UI on http://127.0.0.1:5000
digits version {good} is in production.""")
