"""The API server's answers as errors of ours, and the paths of objects."""

from datetime import timedelta

import orjson
import pytest
from trainyard_operator.engine import objects
from trainyard_operator.engine.answers import error_of, event_of, parsed, written_object
from trainyard_operator.engine.errors import (
    Conflict,
    Expired,
    NotFound,
    Retry,
    Terminal,
    Unavailable,
    Unheard,
)
from trainyard_operator.engine.kube import path_of
from trainyard_operator.engine.ownership import unlabelled
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shapes import reader_of


@pytest.mark.parametrize(
    ("code", "message", "kind", "reason"),
    [
        (404, "", NotFound, "NotFound"),
        (409, "", Conflict, "AlreadyExists"),
        (422, "spec.x: invalid", Terminal, "InvalidSpec"),
        (400, "bad", Terminal, "InvalidSpec"),
        (413, "limit is 3145728", Terminal, "InvalidSpec"),
        (500, "etcdserver: request is too large", Terminal, "InvalidSpec"),
        (500, "trying to send message larger than max (3 vs. 2)", Terminal, "InvalidSpec"),
        (500, "etcdserver: request timed out", Unavailable, "APIServerUnavailable"),
        (403, "exceeded quota: q", Retry, "QuotaExceeded"),
        (403, "namespace x is being terminated", Retry, "NamespaceTerminating"),
        (403, "you may not", Retry, "Forbidden"),
        (503, "", Unavailable, "APIServerUnavailable"),
        (429, "", Unheard, "APIServerUnavailable"),
        (410, "too old", Expired, "APIServerUnavailable"),
    ],
)
def test_an_answer_is_an_error_of_ours(
    code: int, message: str, kind: type[Exception], reason: str
) -> None:
    said = {"kind": "Status", "message": message, "reason": "AlreadyExists"}
    body = orjson.dumps(said)
    error = error_of(code, body, {"Retry-After": "3"})

    assert type(error) is kind
    assert error.reason == reason


def test_an_answer_that_is_no_json_is_kept_as_text() -> None:
    assert "proxy" in error_of(502, b"<html>proxy", {}).message


@pytest.mark.parametrize("code", [302, 400, 404, 409, 412, 422, 502])
@pytest.mark.parametrize(
    "body", [b"<html>proxy", b"", b"null", b"[1]", b'"busy"', b'{"message":"no route"}']
)
def test_what_a_proxy_says_in_place_of_the_api_server_is_no_refusal(code: int, body: bytes) -> None:
    assert type(error_of(code, body, {})) is Unavailable


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"<html>"])
def test_what_is_no_object_counts_as_no_answer(body: bytes) -> None:
    with pytest.raises(Unavailable, match="GET /x: the answer is no JSON object"):
        parsed(body, "GET /x")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": "ok"},
        {"apiVersion": "v1", "kind": "Status", "metadata": {}},
        {"apiVersion": ["v1"], "kind": "Pod", "metadata": {}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": None},
    ],
)
def test_a_write_that_is_answered_with_no_object_of_ours_is_unknown(answer: Object) -> None:
    with pytest.raises(Unavailable, match="something else than an object"):
        written_object(answer)


@pytest.mark.parametrize("resource", ["runs", "pods"])
@pytest.mark.parametrize(
    "line", [b"null", b"[]", b'"x"', b'{"type":"ADDED"}', b'{"type":"ADDED","object":null}']
)
def test_what_is_no_event_ends_a_watch_and_no_more(line: bytes, resource: str) -> None:
    with pytest.raises(Unavailable):
        event_of(line, "watch /x", reader_of(resource))


@pytest.mark.parametrize(
    ("told", "seconds"), [("0", 1), ("7", 7), ("999999999", 60), ("-1", None), ("²", None)]
)
def test_how_long_to_wait_is_taken_within_reason(told: str, seconds: int | None) -> None:
    error = error_of(429, b"{}", {"retry-after": told})
    assert isinstance(error_of(503, b"{}", {"retry-after": told}), Unheard) == bool(seconds)

    assert isinstance(error, Unavailable)
    assert error.after == (seconds and timedelta(seconds=seconds))


def test_a_child_that_lost_its_label_is_named_with_the_command_that_mends_it() -> None:
    wanted = {"kind": "Job", "metadata": {"name": "r-a1", "labels": dict(objects.MANAGED_BY)}}
    bare = {"kind": "Job", "metadata": {"name": "r-a1", "labels": {"other": "1"}}}
    said = unlabelled(bare, wanted)

    assert said is not None
    assert said.reason == "JobNameTaken"
    assert "`kubectl label job r-a1 --overwrite app.kubernetes.io/managed-by=" in said.message
    assert unlabelled(wanted, wanted) is None
    assert unlabelled(bare, bare) is None  # a Secret is watched by nobody


def test_objects_have_paths() -> None:
    assert path_of("v1", "Pod", "ns", "p") == "/api/v1/namespaces/ns/pods/p"
    assert path_of("batch/v1", "Job", "ns") == "/apis/batch/v1/namespaces/ns/jobs"
    assert path_of(objects.API_VERSION, "Deployment", "ns", "d").endswith("/modeldeployments/d")
