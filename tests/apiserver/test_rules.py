"""Every rule of the API has a row that passes and a row that is refused, in words that help."""

from collections.abc import Iterator

import pytest
import rows_registry
import rows_run
from builders import given
from kube_api import Api, Refused, clean
from rows import Change, Row, body
from trainyard_api.crd import root_schema
from trainyard_api.kinds import KINDS
from trainyard_api.reference import messages

ROWS = [*rows_run.ROWS, *rows_registry.ROWS]
CHANGES = [*rows_run.CHANGES, *rows_registry.CHANGES]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_keeps_a_rule_is_accepted(api: Api, row: Row) -> None:
    created = api.create(body(row.kind, row.passes), dry=True)

    assert created["kind"] == row.kind


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_breaks_a_rule_is_refused_in_words_that_help(api: Api, row: Row) -> None:
    with pytest.raises(Refused) as refused:
        api.create(body(row.kind, row.refused), dry=True)

    assert refused.value.code == 422
    assert row.says in refused.value.message
    assert any(place.startswith(row.field) for place in refused.value.fields)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.id)
def test_a_change_is_refused_where_it_must_not_be(api: Api, row: Change) -> None:
    created = api.create(body(row.kind, row.before))
    api.patch(created, {"spec": row.passes})

    with pytest.raises(Refused) as refused:
        api.patch(created, {"spec": row.refused})

    assert refused.value.code == 422
    assert row.says in refused.value.message
    assert row.field in refused.value.fields


@pytest.mark.parametrize("kind", ["Experiment", "Run", "Model", "Deployment"])
class TestNames:
    """Names of all kinds but ModelVersion, which follow from their model's."""

    @pytest.mark.parametrize("name", ["a", "a" * 50, "a-1", "a--b"])
    def test_legal_names(self, api: Api, kind: str, name: str) -> None:
        created = api.create(body(kind, {}) | {"metadata": {"name": name}}, dry=True)

        assert created["metadata"]["name"] == name

    @pytest.mark.parametrize("name", ["1a", "a.b"])
    def test_names_that_resources_of_kubernetes_may_have(
        self, api: Api, kind: str, name: str
    ) -> None:
        with pytest.raises(Refused, match=r"metadata.name starts with a lower-case letter"):
            api.create(body(kind, {}) | {"metadata": {"name": name}}, dry=True)

    def test_names_that_leave_no_room(self, api: Api, kind: str) -> None:
        with pytest.raises(Refused, match=r"longer than 50 characters.*shorten metadata.name"):
            api.create(body(kind, {}) | {"metadata": {"name": "a" * 51}}, dry=True)


def test_a_version_of_the_longest_model_has_room_for_its_number(api: Api) -> None:
    created = api.create(clean(given.model_version("m" * 50, 999_999_999)), dry=True)

    assert len(created["metadata"]["name"]) == 60


def test_a_longer_version_is_refused(api: Api) -> None:
    with pytest.raises(Refused, match="longer than 60 characters"):
        api.create(body("ModelVersion", {}) | {"metadata": {"name": "m" * 61}}, dry=True)


def test_a_version_is_not_named_with_leading_zeros(api: Api) -> None:
    bent = clean(given.model_version("digits", 1)) | {"metadata": {"name": "digits-01"}}

    with pytest.raises(Refused, match="a ModelVersion is named by"):
        api.create(bent, dry=True)


def test_generate_name_makes_a_legal_run(api: Api) -> None:
    created = api.create(body("Run", {}) | {"metadata": {"generateName": "digits-"}}, dry=True)

    assert created["metadata"]["name"].startswith("digits-")


def _all_messages() -> Iterator[str]:
    for kind in KINDS.values():
        yield from messages(root_schema(kind))


def test_no_rule_is_without_a_row() -> None:
    said = [row.says for row in ROWS] + [change.says for change in CHANGES]
    said += ["metadata.name starts with", "longer than 50", "longer than 60"]

    assert [m for m in _all_messages() if not any(words in m for words in said)] == []
