"""Settings of the operator: defaults, variables, runtimes."""

from typing import Any

import pytest
from builders.authority import Authority
from builders.stage import SETTINGS
from trainyard_operator import settings
from trainyard_operator.engine.errors import Terminal


def test_everything_has_a_default() -> None:
    read = settings.from_environment({})

    assert (read.run_as_user, read.http_port, read.watch_namespaces) == (10001, 8081, ())


def test_variables_are_read(tmp_path: Any) -> None:
    runtimes = tmp_path / "runtimes.yaml"
    runtimes.write_text("sklearn: {image: a, servingImage: b, packages: {numpy: 2}}")
    read = settings.from_environment(
        {
            "TRAINYARD_RUNTIMES_FILE": str(runtimes),
            "TRAINYARD_WATCH_NAMESPACES": "a, b ,",
            "TRAINYARD_RUN_AS_USER": "",
            "TRAINYARD_TRACKING_URL": "http://x/",
        }
    )

    assert read.runtime("sklearn").packages == {"numpy": "2"}
    assert read.watch_namespaces == ("a", "b")
    assert read.run_as_user is None
    assert read.tracking_url == "http://x"


def test_a_malformed_number_is_named() -> None:
    with pytest.raises(ValueError, match="TRAINYARD_FS_GROUP"):
        settings.from_environment({"TRAINYARD_FS_GROUP": "many"})


def test_the_agents_size_is_an_administrators_to_say() -> None:
    said = {"TRAINYARD_AGENT_RESOURCES": '{"limits": {"cpu": "2"}}'}

    assert settings.from_environment(said).agent_resources == {"limits": {"cpu": "2"}}
    with pytest.raises(ValueError, match="TRAINYARD_AGENT_RESOURCES"):
        settings.from_environment({"TRAINYARD_AGENT_RESOURCES": "[1]"})


def test_a_misspelt_field_of_a_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match="servingImage"):
        settings.parse_runtimes("sklearn: {servingimage: a}")


def test_an_unknown_runtime_names_those_there_are() -> None:
    with pytest.raises(Terminal, match="sklearn"):
        SETTINGS.runtime("torch")


def test_the_signing_key_is_never_shown() -> None:
    assert "PRIVATE" not in repr(SETTINGS)


def test_the_authority_of_the_tracking_service_is_read_with_where_it_is(tmp_path: Any) -> None:
    file = Authority(tmp_path).file
    read = settings.from_environment({"TRAINYARD_CA_FILE": str(file)})

    assert (read.tracking_ca, read.tracking_ca_file) == (file.read_text(), str(file))


def test_a_file_without_an_authority_is_named(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="TRAINYARD_CA_FILE names"):
        settings.from_environment({"TRAINYARD_CA_FILE": str(tmp_path / "none")})
