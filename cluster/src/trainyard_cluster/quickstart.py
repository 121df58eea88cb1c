"""From a local cluster to a trained, gated, promoted, served and monitored model.

Types the commands that a user would type and shows each; `make quickstart` makes the cluster
and the images first. Safe to run again: every step is an `apply` or a wait.
"""

import argparse
import http.client
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sklearn.datasets import load_digits
from trainyard_cluster.images import inputs_of
from trainyard_cluster.paths import kubeconfig
from trainyard_cluster.tools import helm, kubectl

EXAMPLE = Path(__file__).parent / "01-first-model"
CHART = Path(__file__).parents[1] / "charts" / "trainyard"
SYSTEM = "trainyard-system"
ENDPOINT = ("127.0.0.1", 8080)
REQUESTS, CONNECTIONS = 500, 8
# A file with values of one's own for the chart.
VALUES = os.environ.get("TRAINYARD_VALUES", "")

ENV = os.environ | {
    "KUBECONFIG": str(kubeconfig()),
    "PATH": f"{Path(sys.executable).parent}:{Path(kubectl()).parent}:{os.environ['PATH']}",
}
seconds: dict[str, float] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["install"], help="stop after this step")
    only = parser.parse_args().only
    with step("Install the chart"):
        install()
    if only == "install":
        return
    with step("Train two models"):
        train()
    with step("Publish both, refuse the weak one"):
        weak, good = publish()
        refuse(weak)
    with step("Promote the good one"):
        run(f"trainyard promote digits {good} --to production")
    with step("Serve it"):
        serve()
    with step(f"Send {REQUESTS} requests"):
        before = counted()
        predict()
        load(before)
    summary(good)


@contextmanager
def step(title: str) -> Iterator[None]:
    print(f"\n\033[1m==> {title}\033[0m", flush=True)
    start = time.monotonic()
    yield
    seconds[title] = time.monotonic() - start


def run(command: str, *, expect: int = 0, quiet: bool = False, stdin: str | None = None) -> str:
    """Run *command* as shown, and return what it printed."""
    if not quiet:
        print(f"\033[36m$ {command}\033[0m", flush=True)
    done = subprocess.run(
        shlex.split(command),
        env=ENV,
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
        sys.exit(f"`{command}` ended with {done.returncode}, not {expect}: see above.")
    return done.stdout


def install() -> None:
    # Images of a local build keep their tag; the annotation restarts what was built anew.
    built = " ".join(
        f"--set-string {name}.podAnnotations.image={inputs_of(name)}"
        for name in ("operator", "tracking", "minio", "prometheus")
    )
    values = f"--values {VALUES}" if VALUES else ""
    run(
        f"{helm()} upgrade --install trainyard {CHART} --namespace {SYSTEM} --create-namespace "
        f"--set localUser.enabled=true {built} {values} --wait --timeout 5m"
    )


def train() -> None:
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


def publish() -> tuple[int, int]:
    versions = [version_of("digits-shallow"), version_of("digits-deep")]
    names = " ".join(f"modelversion/digits-{version}" for version in versions)
    run(f"kubectl wait --for=condition=Published {names} --timeout=180s")
    run("kubectl get modelversions")
    return versions[0], versions[1]


def version_of(name: str) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        version = run(f"kubectl get run {name} -o jsonpath={{.status.modelVersion}}", quiet=True)
        if version:
            return int(version.rpartition("-")[2])
        time.sleep(0.3)
    return sys.exit(f"Run {name} registered no version: kubectl describe run {name}")


def refuse(weak: int) -> None:
    print("\nIs the weak one good enough for production? The gate says:")
    run(f"trainyard promote digits {weak} --to production", expect=1)


def serve() -> None:
    run("kubectl apply -f deployment.yaml")
    run("kubectl wait --for=condition=Available mdep/digits --timeout=180s")
    run("kubectl get mdep")
    deadline = time.monotonic() + 30  # kube-proxy may need a moment behind a new Service
    while not answers():
        if time.monotonic() > deadline:
            sys.exit(
                f"http://{ENDPOINT[0]}:{ENDPOINT[1]} does not answer: kubectl describe mdep digits"
            )
        time.sleep(0.2)


def answers() -> bool:
    connection = http.client.HTTPConnection(*ENDPOINT, timeout=2)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def predict() -> None:
    digits = load_digits()
    number = 42
    print("\nOne digit, as the model sees it:")
    for row in digits.images[number]:
        print("   " + "".join(" .:-=+*#%@"[min(9, int(value * 9 / 16))] * 2 for value in row))
    body = json.dumps({"inputs": [digits.data[number].tolist()]}, separators=(",", ":"))
    answer = run(
        f"curl -s http://127.0.0.1:8080/invocations -H 'Content-Type: application/json' -d '{body}'"
    )
    prediction = json.loads(answer)["predictions"][0]
    print(f"\nThe prediction: {prediction}   (it is a {digits.target[number]})")


def load(before: float) -> None:
    digits = load_digits().data

    def client(share: int) -> list[tuple[int, float]]:
        connection = http.client.HTTPConnection(*ENDPOINT, timeout=10)
        results = []
        for number in range(share, REQUESTS, CONNECTIONS):
            body = json.dumps({"inputs": [digits[number].tolist()]})
            start = time.perf_counter()
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            results.append((response.status, time.perf_counter() - start))
        connection.close()
        return results

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        results = [result for share in pool.map(client, range(CONNECTIONS)) for result in share]
    failures = sum(status != 200 for status, _ in results)
    centiles = statistics.quantiles((1000 * time for _, time in results), n=100)
    print(
        f"{len(results)} requests over {CONNECTIONS} connections, {failures} failed, "
        f"p50 {centiles[49]:.1f} ms, p99 {centiles[98]:.1f} ms"
    )
    told = counted(at_least=before + REQUESTS + 1) - before
    print(f"Counted by Prometheus: {told:.0f}, the curl above among them")


def counted(at_least: float = 0) -> float:
    """Wait for Prometheus to have scraped so many predictions; return its count."""
    query = 'sum(trainyard_requests_total{deployment="digits",protocol="mlflow",code="200"})'
    path = f"/api/v1/namespaces/{SYSTEM}/services/http:trainyard-prometheus:9090/proxy/api/v1/query"
    deadline = time.monotonic() + 30
    while True:
        answer = json.loads(run(f"kubectl get --raw {path}?query={quote(query)}", quiet=True))
        result = answer["data"]["result"]
        value = float(result[0]["value"][1]) if result else 0.0
        if value >= at_least or time.monotonic() > deadline:
            return value
        time.sleep(0.5)


def summary(good: int) -> None:
    print("\n\033[1mSeconds per step\033[0m")
    for title, taken in seconds.items():
        print(f"  {taken:6.1f}  {title}")
    print(f"  {sum(seconds.values()):6.1f}  in all, after the cluster and its images")
    print(f"""
\033[1mWhat next?\033[0m
  export KUBECONFIG={kubeconfig()} PATH=$PWD/.venv/bin:{Path(kubectl()).parent}:$PATH
  trainyard status                                     # what runs, what is held, what serves
  trainyard run examples/01-first-model -p max_depth=8 # train another, from this folder
  trainyard proxy                                      # MLflow's UI on http://127.0.0.1:5000
digits version {good} is in production.""")


if __name__ == "__main__":
    main()
