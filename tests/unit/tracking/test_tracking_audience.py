"""Tokens of people, made for the tracking service or for the API server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from builders.tracking import API_SERVER, OPERATOR, FakeKube, bearer, person_token
from trainyard_tracking import tokens
from trainyard_tracking.errors import Unauthenticated
from trainyard_tracking.reviews import Reviews

OURS = "trainyard-tracking"
V2 = "/api/2.0/mlflow"


def as_scientist(*audiences: str) -> dict[str, str]:
    return bearer(person_token("scientist", *audiences), **{"X-MLFLOW-WORKSPACE": "team"})


@contextmanager
def heard(kube: FakeKube) -> Iterator[list[dict[str, Any]]]:
    """Note what is asked of the API server."""
    asked: list[dict[str, Any]] = []
    create = kube.create

    def noted(path: str, body: Any, *, token: str | None = None) -> Any:
        asked.append(body)
        return create(path, body, token=token)

    kube.create = noted  # type: ignore[method-assign]
    yield asked
    kube.create = create  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("audiences", "asked_for"),
    [
        ([OURS], [OURS]),
        ([API_SERVER, OURS], [OURS]),
        ([API_SERVER], None),
    ],
)
def test_a_token_is_reviewed_once_for_the_audience_that_it_says(
    audiences: list[str], asked_for: list[str] | None
) -> None:
    kube = FakeKube()
    with heard(kube) as asked:
        person = Reviews(kube).person(person_token("ada", *audiences))

    assert person.username == "ada"
    assert [one["spec"].get("audiences") for one in asked] == [asked_for]


@pytest.mark.parametrize("audiences", [[], ["another-service"]])
def test_a_token_for_somebody_else_is_refused(audiences: list[str]) -> None:
    with pytest.raises(Unauthenticated):
        Reviews(FakeKube()).person(person_token("ada", *audiences))


def test_a_review_that_knows_no_audiences_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    answer = {"status": {"authenticated": True, "user": {"username": "ada"}}}
    monkeypatch.setattr(kube, "create", lambda *_: answer)

    with pytest.raises(Unauthenticated):
        Reviews(kube).person(person_token("ada", OURS))


def test_a_token_for_the_tracking_service_alone_reads_and_logs(world: Any) -> None:
    own = as_scientist(OURS)
    made = world.client.post(f"{V2}/experiments/create", json={"name": "by ada"}, headers=own)
    found = world.client.get(f"{V2}/registered-models/search", headers=own)

    assert (made.status_code, found.status_code) == (200, 200)


@pytest.mark.parametrize(("audiences", "code"), [([OURS], 403), ([OURS, API_SERVER], 200)])
def test_the_registry_is_written_with_a_token_that_the_api_server_takes(
    world: Any, audiences: list[str], code: int
) -> None:
    body = {"name": f"of-{len(audiences)}-audiences"}
    sent = len(world.kube.tokens_seen)
    answer = world.client.post(
        f"{V2}/registered-models/create", json=body, headers=as_scientist(*audiences)
    )

    assert answer.status_code == code, answer.text
    if code == 403:
        assert "without --audience" in answer.json()["message"]
        assert world.kube.tokens_seen[sent:] == []


def test_the_operator_comes_with_a_token_for_the_tracking_service_alone(world: Any) -> None:
    path = "/api/trainyard/v1/namespaces/team/runs?state=active"
    own = bearer(person_token("operator", OURS))

    assert world.client.get(path, headers=own).status_code == 200
    assert world.client.get(path, headers=bearer(OPERATOR)).status_code == 200


@pytest.mark.parametrize("said", [5, True, {"a": 1}, None, [[]]])
def test_an_audience_that_is_none_is_no_fault_of_the_service(said: Any) -> None:
    token = jwt.encode({"sub": "ada", "aud": said}, "k" * 32, algorithm="HS256")

    assert OURS not in tokens.audiences(token)
