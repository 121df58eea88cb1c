"""Ask the model that the quickstart serves, and Prometheus how often it was asked."""

import http.client
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from sklearn.datasets import load_digits
from trainyard_api.serving import READY_PATH

from trainyard_cluster import paths
from trainyard_cluster.shell import StepError
from trainyard_cluster.typed import run

ENDPOINT = ("127.0.0.1", paths.ENDPOINT_PORT)
SERVER = "http://{}:{}".format(*ENDPOINT)
REQUESTS, CONNECTIONS = 500, 8
QUERY = 'sum(trainyard_requests_total{deployment="digits",protocol="mlflow",code="200"})'


def reached() -> None:
    """Wait until the model server answers where this machine reaches it.

    Raises:
        StepError: it does not within half a minute.
    """
    deadline = time.monotonic() + 30  # kube-proxy may need a moment behind a new Service
    while not _answers():
        if time.monotonic() > deadline:
            raise StepError(f"{SERVER} does not answer: kubectl describe mdep digits")
        time.sleep(0.2)


def _answers() -> bool:
    connection = http.client.HTTPConnection(*ENDPOINT, timeout=2)
    try:
        connection.request("GET", READY_PATH)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def predict() -> None:
    """Show a digit as the model sees it, and what it says."""
    digits = load_digits()
    number = 42
    print("\nOne digit, as the model sees it:")
    for row in digits.images[number]:
        print("   " + "".join(" .:-=+*#%@"[min(9, int(value * 9 / 16))] * 2 for value in row))
    body = json.dumps({"inputs": [digits.data[number].tolist()]}, separators=(",", ":"))
    answer = run(f"curl -s {SERVER}/invocations -H 'Content-Type: application/json' -d '{body}'")
    prediction = json.loads(answer)["predictions"][0]
    print(f"\nThe prediction: {prediction}   (it is a {digits.target[number]})")


def load(before: float) -> None:
    """Send many requests; show their latency, and what Prometheus counted since *before*."""
    digits = load_digits().data.tolist()

    def client(share: int) -> list[tuple[int, float]]:
        connection = http.client.HTTPConnection(*ENDPOINT, timeout=10)
        results = []
        for number in range(share, REQUESTS, CONNECTIONS):
            body = json.dumps({"inputs": [digits[number]]})
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
    service = f"/api/v1/namespaces/{paths.SYSTEM}/services/http:trainyard-prometheus:9090"
    deadline = time.monotonic() + 30
    while True:
        path = f"{service}/proxy/api/v1/query?query={quote(QUERY)}"
        answer = json.loads(run(f"kubectl get --raw {path}", quiet=True))
        result = answer["data"]["result"]
        value = float(result[0]["value"][1]) if result else 0.0
        if value >= at_least or time.monotonic() > deadline:
            return value
        time.sleep(0.5)
