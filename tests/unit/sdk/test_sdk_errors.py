"""Errors: every answer of a server becomes a sentence with a remedy."""

from typing import Any

import pytest
from trainyard.errors import ApiError, Conflict, Forbidden, NotFound, Refused, from_response

ABSENT = "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        pytest.param(401, {"message": "Unauthorized"}, Forbidden, "Log in again", id="no login"),
        pytest.param(
            403, {"message": "cannot create runs"}, Forbidden, "trainyard-scientist", id="no right"
        ),
        pytest.param(
            404,
            {"message": 'runs "x" not found', "details": {"name": "x", "kind": "runs"}},
            NotFound,
            "trainyard get runs",
            id="no such resource",
        ),
        pytest.param(404, {"message": ABSENT}, NotFound, "helm install", id="no CRDs"),
        pytest.param(
            409, {"reason": "AlreadyExists"}, Conflict, "Choose another name", id="name taken"
        ),
        pytest.param(409, {"reason": "Conflict"}, Conflict, "repeat", id="somebody was faster"),
        pytest.param(
            422,
            {"details": {"causes": [{"field": "spec.image", "message": "has a space."}]}},
            Refused,
            "spec.image: has a space",
            id="a rule of one field",
        ),
        pytest.param(
            422,
            {
                "details": {
                    "causes": [
                        {"field": "spec.image", "message": "is too long"},
                        {"field": "<nil>", "message": "some rules were not checked"},
                    ]
                }
            },
            Refused,
            "do it: spec.image: is too long. Mend",
            id="a rule, and others that were not looked at",
        ),
        pytest.param(
            422, {"message": "denied: not allowed."}, Refused, "denied: not allowed", id="a policy"
        ),
        pytest.param(
            404,
            {"error_code": "RESOURCE_DOES_NOT_EXIST"},
            NotFound,
            "RESOURCE",
            id="tracking",
        ),
        pytest.param(
            400, {"error": "'b', row 0: expected long"}, Refused, "'b', row 0", id="a model server"
        ),
        pytest.param(503, {}, ApiError, "HTTP 503", id="no body at all"),
    ],
)
def test_an_answer_becomes_an_error(
    status: int, body: dict[str, Any], kind: type[ApiError], said: str
) -> None:
    error = from_response(status, body, what="do it")

    assert type(error) is kind
    assert str(error).startswith("Cannot do it: ")
    assert said in str(error)
    assert error.status == status
