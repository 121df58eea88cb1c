"""The body of a request, as the rules see it and as MLflow is to: JSON, or spans to unpack."""

import json

from trainyard_api.contract import TRACKING_API

from trainyard_tracking.auth.call import Body, Call, read_body, with_snake_keys
from trainyard_tracking.auth.limits import check_body, parsed
from trainyard_tracking.auth.reading import GRAPHQL, SPANS, UPLOAD, inflated, largest
from trainyard_tracking.auth.rules import Match
from trainyard_tracking.auth.span_fields import check_fields
from trainyard_tracking.errors import Refused
from trainyard_tracking.identity import Identity, Person, RunIdentity

_UI_UPLOAD = UPLOAD.replace("/api/", "/ajax-api/", 1)
_STREAMED = "/api/2.0/mlflow-artifacts/artifacts/{...}"
"""The route whose body is a file: never read here."""


def is_streamed(match: Match) -> bool:
    """Tell whether a body is read by its handler, which has limits of its own."""
    return match.template == _STREAMED or match.template.startswith(f"{TRACKING_API}/")


def has_body(match: Match, call: Call, who: Identity) -> bool:
    """Tell whether anybody looks at the body of a call."""
    if call.method in {"GET", "HEAD"}:
        return False
    return not isinstance(who, Person) or match.rule.answer is None


def read_into(call: Call, match: Match, who: Identity) -> object:
    """Unpack or decode the body of a call; give what was sent, None if it is no JSON.

    Raises:
        Refused: it asks too much, or is not what its route takes.
    """
    if match.template == SPANS:
        _unpack(call)
        return None
    if not _has_json(call):
        return None
    sent = parsed(call.raw)
    check_body(sent)
    if match.template == GRAPHQL and not isinstance(sent, dict):
        raise Refused("A question in GraphQL is a JSON object with query")
    if sent is not None and not isinstance(sent, dict):
        raise Refused("The body must be a JSON object, with the fields of the request")
    call.body = _body(call.raw, sent, who)
    return sent


def for_inside(call: Call, sent: object, who: Identity) -> bytes:
    """Give the body that MLflow is to see: as it came, unless a rule changed it."""
    if call.method in {"GET", "HEAD"}:
        # Their handlers take a body for the query where there is none.
        return b""
    is_same = call.body == sent and not isinstance(who, RunIdentity)
    if call.body is None or is_same:
        return call.raw
    return json.dumps(call.body).encode()


def _has_json(call: Call) -> bool:
    # MLflow's handlers read a GET from its query, but from its body if there is no query.
    return call.method not in {"GET", "HEAD"} and call.path not in {SPANS, UPLOAD, _UI_UPLOAD}


def _unpack(call: Call) -> None:
    encoding = call.headers.pop("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        call.raw = inflated(call.raw, encoding, largest(SPANS))
    check_fields(call.raw)


def _body(raw: bytes, sent: object, who: Identity) -> Body | None:
    """Give the object that was sent; that of a Run must be one, each field spelled one way."""
    if isinstance(who, RunIdentity):
        return with_snake_keys(sent) if isinstance(sent, dict) else read_body(raw)
    return dict(sent) if isinstance(sent, dict) else None
