"""Objects as the API server sends them, as typed models, and back."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from builders import given
from pydantic import ValidationError
from rows import BUILDERS
from trainyard_api import contract
from trainyard_api.kinds import KINDS
from trainyard_api.meta import Condition, wire_name
from trainyard_api.model import Model, Move
from trainyard_api.model_version import ModelVersion
from trainyard_api.moment import rfc3339
from trainyard_api.run import Run, RunSpec


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_read_and_written_alike(kind: str) -> None:
    body = BUILDERS[kind](status={"conditions": [given.condition("Ready")]})
    read = KINDS[kind].model_validate(body)
    again = KINDS[kind].model_validate(read.to_object())

    assert again == read
    assert read.to_object()["metadata"]["uid"] == body["metadata"]["uid"]


def test_what_is_default_or_absent_is_not_written() -> None:
    spec = RunSpec(command=["python", "train.py"], image="x", args=[], suspend=False)

    assert spec.to_object() == {"command": ["python", "train.py"], "image": "x"}


def test_a_resource_is_written_whole_enough_to_apply() -> None:
    assert Model.model_validate({"metadata": {"name": "digits"}}).to_object() == {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "digits"},
        "spec": {},
    }


def test_fields_of_a_newer_version_are_ignored() -> None:
    body = given.run(workers={"nodes": 2}, status={"queue": "a"})

    assert Run.model_validate(body).spec.command == ["python", "train.py"]


@pytest.mark.parametrize("value", ["1", 1, 1.5, True, False, "true"])
def test_a_parameter_keeps_its_type(value: Any) -> None:
    parameters = Run.model_validate(given.run(parameters={"p": value})).spec.parameters

    assert parameters == {"p": value}
    assert parameters is not None
    assert type(parameters["p"]) is type(value)


def test_a_parameter_that_is_a_list_is_refused() -> None:
    with pytest.raises(ValidationError):
        RunSpec.model_validate({"command": ["a"], "parameters": {"p": [1]}})


def test_an_amount_may_be_a_number() -> None:
    body = given.run(resources={"limits": {"cpu": 2, "memory": "4Gi"}})
    resources = Run.model_validate(body).spec.resources

    assert resources is not None
    assert resources.limits == {"cpu": "2", "memory": "4Gi"}


def test_words_that_python_keeps_for_itself_have_their_own_name_on_the_wire() -> None:
    spec = RunSpec(command=["a"], register_={"model": "digits"})
    move = Move.model_validate({"time": given.CREATED, "stage": "production", "from": 1, "to": 2})

    assert spec.to_object()["register"] == {"model": "digits"}
    assert move.to_object()["from"] == 1


@pytest.mark.parametrize(
    ("field", "wire"),
    [
        ("run_id", "runID"),
        ("image_id", "imageID"),
        ("id", "id"),
        ("ttl_seconds_after_finished", "ttlSecondsAfterFinished"),
        ("run_as_user", "runAsUser"),
        ("valid", "valid"),
    ],
)
def test_names_on_the_wire(field: str, wire: str) -> None:
    assert wire_name(field) == wire


def test_times_are_written_in_utc() -> None:
    noon = datetime(2026, 11, 24, 12, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))

    assert rfc3339(noon) == "2026-11-24T10:00:00Z"


def test_a_condition_is_found_in_a_typed_status() -> None:
    run = Run.model_validate(given.run(status={"conditions": [given.condition("Finished")]}))

    assert run.status.condition("Finished") == Condition(
        type="Finished",
        status="True",
        reason="Completed",
        message="",
        last_transition_time=datetime(2026, 11, 24, 12, tzinfo=UTC),
        observed_generation=1,
    )
    assert run.status.condition("Succeeded") is None


def test_a_run_that_says_nothing_has_an_empty_status() -> None:
    run = Run.model_validate(given.run())

    assert run.status.phase is None
    assert run.status.attempts == []


def test_every_kind_has_its_plural() -> None:
    assert {name: kind.definition.plural for name, kind in KINDS.items()} == contract.PLURALS


def test_the_longest_version_name_holds_every_model_and_number() -> None:
    number = ModelVersion.model_json_schema()["$defs"]["ModelVersionSpec"]["properties"]["version"]
    digits = len(str(number["maximum"]))

    assert contract.MAX_NAME + 1 + digits == contract.MAX_VERSION_NAME
