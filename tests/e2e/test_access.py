"""The token of a Run opens what is the Run's own and nothing else; its pod has no other key."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from on_cluster.access import (
    INSIDE,
    MODEL,
    NOTES,
    THEIRS,
    Ask,
    Side,
    own_requests,
    refused_requests,
    side_of,
)
from on_cluster.models import model, stage
from on_cluster.runs import (
    SYSTEM,
    Kubectl,
    Object,
    background,
    command,
    namespace,
    script_run,
    shell_run,
    sources,
)
from on_cluster.tracking import trusting

NOBODY = Side("", "", "", "", "")
OWN = tuple(own_requests(NOBODY))
REFUSED = tuple(refused_requests(NOBODY, NOBODY))
COUNT_ROWS = """
import json, sqlite3
database = sqlite3.connect("file:/data/mlflow.db?mode=ro", uri=True)
tables = [name for (name,) in database.execute("select name from sqlite_master where type='table'")]
wanted = [name for name in tables if name.startswith(("runs", "registered_model", "model_version"))]
prompts = "select name from registered_model_tags where key = 'mlflow.prompt.is_prompt'"
others = f" where name not in ({prompts})"
count = lambda name: database.execute(
    f"select count(*) from {name}" + ("" if name == "runs" or "runs" in name else others)
).fetchone()[0]
print(json.dumps({name: count(name) for name in wanted}))
"""
TABLES = {
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
}


@dataclass(frozen=True, slots=True)
class Runs:
    """A Run of ours, another one of the namespace, one of another, and what ours could do."""

    http: httpx.Client
    mine: Side
    theirs: Side
    foreign: Side
    inside: Object


@pytest.fixture(scope="module")
def runs(kube: Kubectl, environment: dict[str, str]) -> Iterator[Runs]:
    with namespace(environment, "e2e-access-elsewhere") as away, tracking(environment) as http:
        kube.apply(
            model(MODEL, stage("production", "automatic", threshold=0.9)),
            sources("theirs", theirs=THEIRS),
            script("theirs"),
        )
        away.apply(shell_run("foreign", "true"))
        away.recorded("foreign")
        kube.recorded("theirs", seconds=180)
        foreign = side_of(away, http, "foreign", token_of(away, "foreign"))
        theirs = side_of(kube, http, "theirs", token_of(kube, "theirs"))
        asks = {name: ask.plain() for name, ask in refused_requests(theirs, foreign).items()}
        written = f"OTHER = {theirs.run_id!r}\nREQUESTS = {asks!r}\n"
        kube.apply(sources("mine", mine=INSIDE, requests_of_others=written), script("mine"))
        kube.recorded("mine", seconds=180)
        mine = side_of(kube, http, "mine", token_of(kube, "mine"))
        inside = json.loads(kube.trainyard("logs", "mine").strip().splitlines()[-1])
        yield Runs(http, mine, theirs, foreign, inside)


def script(name: str) -> Object:
    source = {"configMap": {"name": name}}
    return script_run(name, ["python", f"{name}.py"], runtime="sklearn", source=source)


@contextmanager
def tracking(environment: dict[str, str]) -> Iterator[httpx.Client]:
    """Reach the tracking service as a pod does, with nothing in between that knows a login."""
    forward = ("kubectl", "-n", SYSTEM, "port-forward", "service/trainyard-tracking", ":5000")
    trusted = trusting(Kubectl(environment, SYSTEM))
    with (
        background(environment, *forward, until=r"Forwarding from 127\.0\.0\.1:(\d+)") as port,
        httpx.Client(base_url=f"https://127.0.0.1:{port}", timeout=30, verify=trusted) as http,
    ):
        yield http


def token_of(kube: Kubectl, run: str) -> str:
    (secret,) = kube.list("secrets", f"trainyard.dev/run={run}")
    return b64decode(secret["data"]["token"]).decode()


@pytest.mark.parametrize("name", OWN)
def test_the_token_of_a_run_lets_it(runs: Runs, name: str) -> None:
    answer = own_requests(runs.mine)[name].send(runs.http, runs.mine.token)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", REFUSED)
def test_the_token_of_a_run_does_not_let_it(runs: Runs, name: str) -> None:
    answer = refused_requests(runs.theirs, runs.foreign)[name].send(runs.http, runs.mine.token)

    assert answer.status_code == 403, answer.text
    assert answer.json()["error_code"] == "PERMISSION_DENIED"


def test_what_was_refused_changed_nothing(runs: Runs, kube: Kubectl) -> None:
    theirs = runs.theirs
    notes = Ask("GET", f"{theirs.files}/{NOTES}").send(runs.http, theirs.token)
    seen = Ask("GET", f"/api/2.0/mlflow/runs/get?run_id={theirs.run_id}").send(
        runs.http, theirs.token
    )
    run, registered = seen.json()["run"], kube.get("model", MODEL)

    assert notes.text == "theirs"
    assert (run["info"]["status"], run["info"]["lifecycle_stage"]) == ("FINISHED", "active")
    assert {metric["value"] for metric in run["data"]["metrics"]} == {0.5}
    assert not registered["spec"].keys() & {"aliases", "description", "tags"}
    assert not kube.get("modelversion", f"{MODEL}-1")["spec"].keys() & {"description", "tags"}


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="no token"),
        pytest.param("garbage", id="garbage"),
        pytest.param("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ0cmFpbnlhcmQifQ.", id="an unsigned token"),
    ],
)
def test_nobody_is_told_anything(runs: Runs, token: str) -> None:
    answer = own_requests(runs.mine)["read its run"].send(runs.http, token)

    assert answer.status_code == 401
    assert runs.mine.run_id not in answer.text


def test_a_token_that_was_tampered_with_is_nobodys(runs: Runs) -> None:
    head, _, signature = runs.theirs.token.split(".")
    claims = runs.mine.token.split(".")[1]

    answer = own_requests(runs.mine)["read its run"].send(runs.http, f"{head}.{claims}.{signature}")

    assert answer.status_code == 401


def test_code_in_the_pod_is_refused_the_same(runs: Runs) -> None:
    assert runs.inside["statuses"] == dict.fromkeys(REFUSED, 403)
    assert runs.inside["without a token"] == dict.fromkeys(REFUSED, 401)
    assert runs.inside["other by mlflow"] == "PERMISSION_DENIED"


def test_code_in_the_pod_reaches_its_own_run(runs: Runs) -> None:
    assert runs.inside["run"] == runs.mine.run_id


def test_the_pod_has_no_key_but_its_token(runs: Runs) -> None:
    suspicious = ("TOKEN", "AWS", "S3", "MINIO", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")
    found = [name for name in runs.inside["variables"] if any(word in name for word in suspicious)]

    assert found == ["MLFLOW_TRACKING_TOKEN"]


def test_the_pod_is_nobody_to_the_cluster(runs: Runs) -> None:
    assert runs.inside["account"] is False
    # Anonymous, or kept from the API server by a NetworkPolicy where the network enforces one.
    assert runs.inside["cluster"] in (0, 401, 403)


def test_the_pod_mounts_no_secret_but_the_authority_of_the_service(
    runs: Runs, kube: Kubectl
) -> None:
    spec = kube.list("pods", "trainyard.dev/run=mine")[0]["spec"]
    volumes = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    secrets = {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for container in (*spec["initContainers"], *spec["containers"])
        for entry in container["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    }

    mounted = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]

    assert volumes == {"emptyDir", "configMap", "secret"}
    (own,) = kube.list("secrets", "trainyard.dev/run=mine")
    (authority,) = mounted
    assert authority["secretName"] == own["metadata"]["name"]
    assert [item["key"] for item in authority["items"]] == ["ca.crt"]
    assert secrets == {own["metadata"]["name"]}
    assert all("envFrom" not in container for container in spec["containers"])
    assert spec["automountServiceAccountToken"] is False


def test_the_registry_is_resources_and_its_sql_tables_have_prompts_alone(
    runs: Runs, kube: Kubectl
) -> None:
    counting = ("exec", "deployment/trainyard-tracking", "-c", "tracking", "--", "python", "-c")
    assert [version["metadata"]["name"] for version in kube.list("modelversions")] == [f"{MODEL}-1"]

    said = command(kube.environment, "kubectl", "-n", SYSTEM, *counting, COUNT_ROWS)
    rows = json.loads(said.strip().splitlines()[-1])

    assert rows.pop("runs") > 0
    assert rows.keys() >= TABLES
    assert set(rows.values()) == {0}
