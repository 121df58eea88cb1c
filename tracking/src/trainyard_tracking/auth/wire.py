"""A request off the wire becomes a `Call`; what the rules made of it goes on to what is inside."""

from urllib.parse import quote

from starlette.types import Message, Receive, Scope
from trainyard_api.contract import AUTHORIZATION_HEADER, TRACKING_API, WORKSPACE_HEADER

from trainyard_tracking.auth.call import Call, read_query
from trainyard_tracking.auth.gate import namespace_of
from trainyard_tracking.auth.rules import Access, Match
from trainyard_tracking.errors import Refused
from trainyard_tracking.identity import Identity

_WORKSPACE = WORKSPACE_HEADER.lower().encode()
_AUTHORIZATIONS = (b"authorization", AUTHORIZATION_HEADER.lower().encode())
_JUDGED = frozenset(
    {
        *_AUTHORIZATIONS,
        _WORKSPACE,
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"x-mlflow-experiment-id",
        b"x-mlflow-run-id",
    }
)
"""Headers that rules read: of two of one name, MLflow might read the other."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Give the headers of a request.

    Raises:
        Refused: one that rules read is there twice.
    """
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _JUDGED and found.get(name, value) != value:
            raise Refused(f"Header {name.decode('latin-1')} is there twice; keep one")
        found[name] = value
    return found


def token_in(headers: dict[bytes, bytes]) -> str:
    """Give the token that a request brings; nothing if it brings none."""
    for name in reversed(_AUTHORIZATIONS):
        kind, _, token = headers.get(name, b"").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
    return ""


def workspace_in(headers: dict[bytes, bytes]) -> str:
    """Give the workspace that a request names; nothing if it names none."""
    return headers.get(_WORKSPACE, b"").decode("latin-1")


def call_of(scope: Scope, headers: dict[bytes, bytes], match: Match, who: Identity) -> Call:
    """Give a request as the rules see it, without its body."""
    is_in_namespace = _is_in_namespace(match)
    # Without rights that are asked for, whether there is such a namespace is not told either.
    asked = workspace_in(headers) if is_in_namespace else ""
    return Call(
        method=scope["method"],
        path=scope["path"],
        namespace=namespace_of(match, who, asked=asked),
        arguments=match.arguments,
        query=read_query(scope["query_string"]),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()},
        is_in_namespace=is_in_namespace,
    )


def _is_in_namespace(match: Match) -> bool:
    if match.template.startswith(f"{TRACKING_API}/"):
        return True
    return not isinstance(match.rule.people, Access) or isinstance(match.rule.answer, str)


def rewrite_head(scope: Scope, call: Call) -> None:
    """Let anything inside see what was judged, and nothing else."""
    # The call's namespace is the only one that anything inside will see.
    set_header(scope, _WORKSPACE, call.namespace)
    for name in ("x-mlflow-experiment-id", "x-mlflow-run-id"):
        if name in call.headers:
            set_header(scope, name.encode(), call.headers[name])
    if "content-encoding" not in call.headers:
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"content-encoding"]
    scope["query_string"] = call.query_string
    if scope["path"] != call.path:
        scope["path"] = call.path
        scope["raw_path"] = quote(call.path).encode()


def set_header(scope: Scope, name: bytes, value: str) -> None:
    """Set a header, the only one of its name."""
    kept = [(key, old) for key, old in scope["headers"] if key != name]
    scope["headers"] = [*kept, (name, value.encode("latin-1"))]


def again(body: bytes, receive: Receive) -> Receive:
    """Give what receives a body once more that was read already."""
    waiting = [body]

    async def once() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return once
