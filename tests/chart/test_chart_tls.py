"""TLS of the tracking service as the chart sets it up: who shows it, who checks it, by what."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from builders.chart import CHART, NAMESPACE, Object, helm_run, named, of_kind, pods, rendered
from cryptography import x509
from trainyard_operator.settings import from_environment
from trainyard_tracking.settings import read_settings

OFF = "tracking.tls.enabled=false"
MINE = "tracking.tls.existingSecret=mine"
MONITORED = Path(__file__).parent / "values" / "monitored.yaml"
NAME = f"trainyard-tracking.{NAMESPACE}.svc"


def made(key: str, *settings: str) -> bytes:
    data = named(rendered(None, *settings), "Secret", "trainyard-tracking-tls")["data"]
    return base64.b64decode(data[key])


def strict(authority: bytes) -> ssl.SSLContext:
    """Return how Python 3.13 checks a certificate: more closely than those before."""
    context = ssl.create_default_context(cadata=authority.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """Open a connection in memory.

    Raises:
        ssl.SSLError: The client does not take what it is shown.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    shown = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, shown, asking, shown):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    for key in ("tls.crt", "tls.key"):
        (folder / key).write_bytes(made(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


@pytest.mark.parametrize(
    "name",
    [
        "trainyard-tracking",
        f"trainyard-tracking.{NAMESPACE}",
        NAME,
        f"{NAME}.cluster.local",
        "localhost",
        "127.0.0.1",
    ],
)
def test_the_certificate_that_is_made_is_good_for_each_name(
    server: ssl.SSLContext, name: str
) -> None:
    shake_hands(strict(made("ca.crt")), server, name)


def test_the_certificate_is_good_for_no_other_name(server: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(strict(made("ca.crt")), server, "trainyard-tracking.other.svc")


def test_another_cluster_s_domain_is_in_the_certificate() -> None:
    made_for = x509.load_pem_x509_certificate(
        made("tls.crt", "tracking.tls.clusterDomain=corp.example")
    )
    names = made_for.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert f"{NAME}.corp.example" in names.get_values_for_type(x509.DNSName)


def test_the_key_of_the_authority_is_kept_nowhere() -> None:
    secret = named(rendered(), "Secret", "trainyard-tracking-tls")

    assert secret["type"] == "kubernetes.io/tls"
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}


def container(objects: tuple[Object, ...], part: str) -> Object:
    spec: Object = named(objects, "Deployment", f"trainyard-{part}")["spec"]["template"]["spec"]
    return spec["containers"][0]


def environment(objects: tuple[Object, ...], part: str) -> dict[str, str]:
    return {e["name"]: e.get("value", "x") for e in container(objects, part)["env"]}


def sources(volume: Object) -> Iterator[tuple[str, set[str]]]:
    """Yield name and keys of each Secret that a volume shows."""
    for found in (volume, *volume.get("projected", {}).get("sources", ())):
        if secret := found.get("secret"):
            keys = {item["key"] for item in secret["items"]}
            yield secret.get("secretName") or secret["name"], keys


def keys_of(objects: tuple[Object, ...], secret: str) -> dict[str, set[str]]:
    """Return which keys of a Secret each pod mounts."""
    found: dict[str, set[str]] = {}
    for name, pod in pods(objects):
        for volume in pod["spec"].get("volumes", ()):
            for mounted, keys in sources(volume):
                if mounted == secret:
                    found[name] = found.get(name, set()) | keys
    return found


@pytest.mark.parametrize(
    ("settings", "secret"), [((), "trainyard-tracking-tls"), ((MINE,), "mine")]
)
def test_the_service_alone_has_the_key_and_its_callers_the_authority(
    settings: tuple[str, ...], secret: str
) -> None:
    assert keys_of(rendered(None, *settings), secret) == {
        "trainyard-tracking": {"tls.crt", "tls.key"},
        "trainyard-operator": {"ca.crt"},
        "trainyard-prometheus": {"ca.crt"},
        "trainyard-test": {"ca.crt"},
    }


def test_files_are_mounted_where_the_parts_read_them() -> None:
    objects = rendered()
    tls = read_settings(environment(objects, "tracking")).tls
    assert tls is not None
    told = [str(tls.certificate), str(tls.key)]
    operator = environment(objects, "operator")["TRAINYARD_CA_FILE"]

    for part, path in (*(("tracking", path) for path in told), ("operator", operator)):
        folders = [mount["mountPath"] for mount in container(objects, part)["volumeMounts"]]
        assert path.rpartition("/")[0] in folders, path


def probes(objects: tuple[Object, ...]) -> set[str]:
    found = container(objects, "tracking")
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    return {found[kind]["httpGet"]["scheme"] for kind in kinds}


def scrape(objects: tuple[Object, ...]) -> tuple[str | None, Object | None]:
    """Return the scheme that the pod asks to be scraped by, and how it is checked."""
    pod = named(objects, "Deployment", "trainyard-tracking")["spec"]["template"]
    text = named(objects, "ConfigMap", "trainyard-prometheus")["data"]["prometheus.yml"]
    job: Object = yaml.safe_load(text)["scrape_configs"][0]
    assert "__scheme__" in {rule.get("target_label") for rule in job["relabel_configs"]}
    return pod["metadata"]["annotations"].get("prometheus.io/scheme"), job.get("tls_config")


def test_probes_and_prometheus_speak_tls_and_prometheus_checks_it() -> None:
    objects = rendered()

    assert probes(objects) == {"HTTPS"}
    ca = {"ca_file": "/var/run/trainyard-ca/ca.crt", "server_name": NAME}
    assert scrape(objects) == ("https", ca)
    service = named(objects, "Service", "trainyard-tracking")
    assert service["spec"]["ports"][0]["appProtocol"] == "https"


def test_the_pod_monitor_of_the_service_alone_speaks_tls() -> None:
    def endpoint(name: str) -> Object:
        found: Object = named(rendered(MONITORED), "PodMonitor", name)["spec"]
        return found["podMetricsEndpoints"][0]

    assert "scheme" not in endpoint("trainyard-operator")
    assert endpoint("trainyard-tracking")["scheme"] == "https"
    assert endpoint("trainyard-tracking")["tlsConfig"] == {
        "serverName": NAME,
        "ca": {"secret": {"name": "trainyard-tracking-tls", "key": "ca.crt"}},
    }


def test_without_tls_everything_is_plain_and_no_certificate_is_anywhere() -> None:
    objects = rendered(None, OFF)

    assert read_settings(environment(objects, "tracking")).tls is None
    operator = {**environment(objects, "operator"), "TRAINYARD_SIGNING_KEY_FILE": ""}
    told = from_environment({**operator, "TRAINYARD_RUNTIMES_FILE": ""})
    assert (told.tracking_url, told.tracking_ca) == (f"http://{NAME}:5000", "")
    assert probes(objects) == {"HTTP"}
    assert scrape(objects) == (None, None)
    assert keys_of(objects, "trainyard-tracking-tls") == {}
    assert "trainyard-tracking-tls" not in {
        s["metadata"]["name"] for s in of_kind(objects, "Secret")
    }
    (test,) = (pod for name, pod in pods(objects) if name == "trainyard-test")
    assert "https" not in str(test["spec"])


BUNDLES = {
    "configMap": {"configMap": {"name": "both", "key": "all.pem"}},
    "secret": {"secret": {"name": "both", "key": "all.pem"}},
}


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle_is_trusted_by_all_who_call_in_place_of_the_secret_s_authority(kind: str) -> None:
    bundle = "tracking.tls.caBundle"
    objects = rendered(MONITORED, MINE, f"{bundle}.{kind}=both", f"{bundle}.key=all.pem")
    rest = rendered(None, MINE, f"{bundle}.{kind}=both", f"{bundle}.key=all.pem")

    assert keys_of(rest, "mine") == {"trainyard-tracking": {"tls.crt", "tls.key"}}
    item = {"name": "both", "items": [{"key": "all.pem", "path": "ca.crt"}]}
    assert {name for name, pod in pods(rest) if {kind: item} in projected(pod)} == {
        "trainyard-operator",
        "trainyard-prometheus",
        "trainyard-test",
    }
    monitor = named(objects, "PodMonitor", "trainyard-tracking")["spec"]
    assert monitor["podMetricsEndpoints"][0]["tlsConfig"]["ca"] == BUNDLES[kind]


def projected(pod: Object) -> list[Object]:
    volumes = pod["spec"].get("volumes", ())
    return [source for v in volumes for source in v.get("projected", {}).get("sources", ())]


def test_a_bundle_is_in_one_place() -> None:
    bundle = "tracking.tls.caBundle"
    settings = ("--set", f"{bundle}.configMap=a,{bundle}.secret=b")
    refused = helm_run("template", "trainyard", CHART, *settings)

    assert refused.returncode
    assert f"set one of {bundle}.configMap and {bundle}.secret" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "is_refused"),
    [
        ("signing.existingSecret=keys", True),
        ("signing.existingSecret=keys,objectStore.existingSecret=credentials", True),
        (f"signing.existingSecret=keys,{MINE}", False),
        (f"signing.existingSecret=keys,{OFF}", False),
        ("localUser.enabled=false", False),
    ],
)
def test_a_certificate_that_each_render_makes_anew_is_refused_where_keys_are_given(
    settings: str, is_refused: bool
) -> None:
    done = helm_run("template", "trainyard", CHART, "--set", settings)

    assert bool(done.returncode) == is_refused, done.stderr
    if is_refused:
        for told in ("tracking.tls.existingSecret", "tracking.tls.enabled=false", "install.md"):
            assert told in done.stderr


@pytest.mark.parametrize(("settings", "told"), [((), "HTTPS"), ((OFF,), None)])
def test_an_ingress_is_told_how_to_reach_the_service_and_may_be_told_otherwise(
    settings: tuple[str, ...], told: str | None
) -> None:
    key = "nginx.ingress.kubernetes.io/backend-protocol"
    on = ("tracking.ingress.enabled=true", "tracking.ingress.host=x.example.org", *settings)
    escaped = key.replace(".", "\\.")
    own = f"tracking.ingress.annotations.{escaped}=GRPC"

    def annotation(*given: str) -> str | None:
        made = named(rendered(None, *given), "Ingress", "trainyard-tracking")["metadata"]
        value: str | None = made.get("annotations", {}).get(key)
        return value

    assert annotation(*on) == told
    assert annotation(*on, own) == "GRPC"


def test_the_api_server_s_proxy_may_be_asked_for_either_scheme() -> None:
    role = named(rendered(), "Role", "trainyard-tracking-proxy")
    (rule,) = (r for r in role["rules"] if "services/proxy" in r["resources"])

    assert {f"{scheme}:trainyard-tracking:5000" for scheme in ("http", "https")} <= set(
        rule["resourceNames"]
    )
