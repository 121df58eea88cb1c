"""Every value does something: what is set arrives in what is rendered."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.chart import CHART, helm_run

VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
UNREAD = {"tracking.uploadSpace"}
"""Those of the last release, which an upgrade may still name."""
ENCODED = {"tracking.tls.clusterDomain"}
"""It arrives in a certificate, which test_chart_tls.py reads."""
COMPARED = {"networkPolicies.runs.egress"}
"""One of two words; values/namespaces.yaml has the other one."""
TEXTS = {"operator.watchNamespaces", "localUser.groups", "localUser.users"}
TEXTS |= {
    f"roles.proxy.{part}.{who}"
    for part in ("tracking", "prometheus")
    for who in ("groups", "users")
}
"""Empty lists that take texts; the others take objects."""
PARTS = ("operator", "agent", "tracking", "minio", "prometheus")
MINIO = dict.fromkeys(
    ["objectStore.endpoint", "objectStore.caBundle.configMap", "objectStore.caBundle.secret"], ""
) | {"tracking.tls.caBundle.configMap": "", "tracking.tls.caBundle.secret": ""}
CLAIMS = {f"{part}.persistence.existingClaim": "" for part in ("tracking", "minio", "prometheus")}
DIGESTS = {f"{part}.image.digest": "" for part in PARTS}
WAYS = {
    "s3": {
        "minio.enabled": False,
        "objectStore.caBundle.configMap": "",
        "tracking.tls.caBundle.configMap": "",
    },
    "s3-config-map": {
        "minio.enabled": False,
        "objectStore.caBundle.secret": "",
        "tracking.tls.caBundle.secret": "",
    },
    "claims": MINIO,
    "made": MINIO | CLAIMS | {"signing.existingSecret": "", "objectStore.existingSecret": ""},
    "tags": MINIO | DIGESTS,
    "shared-tag": MINIO | DIGESTS | {f"{part}.image.tag": "" for part in PARTS},
    "internet": MINIO | {"networkPolicies.runs.egress": "internet"},
}
"""What else is set, so that each value is read in one of them."""
ON = {
    "localUser.enabled": True,
    "monitoring.podMonitor.enabled": True,
    "operator.replicas": 2,
    "prometheus.persistence.enabled": True,
    "tracking.ingress.enabled": True,
    "tracking.ingress.host": "mlflow.example.org",
}


def leaves(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


S3 = {"minio.enabled": False, "objectStore.endpoint": "https://s3.example.org"}
FITTING = {
    ("minio.enabled", False): S3 | {"objectStore.existingSecret": "keys"},
    ("objectStore.workloadIdentity", True): S3,
    ("objectStore.workloadIdentity", False): S3 | {"objectStore.existingSecret": "keys"},
}
"""What the chart asks for beside a switch."""
LEAVES = dict(leaves(VALUES))
SWITCHES = {name for name, value in LEAVES.items() if isinstance(value, bool)}


def mark(name: str) -> str:
    """Return what no other value is, and part of no other."""
    return str(41_000 + list(LEAVES).index(name))


def marked(name: str) -> Any:
    """Return a value of the default's shape that has the mark in it."""
    default = LEAVES[name]
    if isinstance(default, list):
        example = default[0] if default else "" if name in TEXTS else {}
        return [like(example, mark(name))]
    return like(default, mark(name))


def like(example: Any, text: str) -> Any:
    if isinstance(example, dict):
        return {text: text}
    return example if isinstance(example, bool) else type(example)(text)


def render(folder: Path, settings: dict[str, Any]) -> str:
    values: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        node = values
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    # Marks are none of the words and quantities that the schema asks for.
    words = ("template", "trainyard", CHART, "--values", file, "--skip-schema-validation")
    done = helm_run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return all that is rendered, in any way, with a mark in every value."""
    folder = tmp_path_factory.mktemp("values")
    marks = {name: marked(name) for name in LEAVES}
    return "".join(
        render(folder, marks | dict.fromkeys(ON.keys() & SWITCHES, True) | way)
        for way in WAYS.values()
    )


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - SWITCHES - UNREAD - COMPARED - ENCODED))
def test_a_value_is_read_by_a_template(everything: str, name: str) -> None:
    assert mark(name) in everything


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_changes_what_is_rendered(tmp_path: Path, name: str) -> None:
    on, off = (
        render(tmp_path, ON | FITTING.get((name, state), {}) | {name: state})
        for state in (True, False)
    )

    assert without_keys(on) != without_keys(off)


def without_keys(text: str) -> str:
    return re.sub(r"[A-Za-z0-9+/=]{24,}|checksum.*", "…", text)
