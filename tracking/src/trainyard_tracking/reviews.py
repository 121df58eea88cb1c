"""Asks the API server who a token belongs to and what its owner may do.

Answers are kept for a minute. While the API server is away there is no answer: 503, never a yes.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from trainyard_api.contract import CLAIM_AUDIENCE, GROUP

from trainyard_tracking.errors import Unauthenticated, Unavailable
from trainyard_tracking.identity import Person
from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object
from trainyard_tracking.tokens import audiences

_K = TypeVar("_K")
_V = TypeVar("_V")

KEPT_SECONDS = 60.0
_MOST = 10_000

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  # a path
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb on one of our resources; an empty namespace means in all of them."""

    resource: str
    verb: str
    namespace: str = ""

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.resource}.{GROUP} {where}"


@dataclass(slots=True)
class Reviews:
    """The API server's word on tokens and rights; thread-safe as dicts are."""

    kube: Kube
    clock: Callable[[], float] = time.monotonic
    _people: dict[bytes, tuple[float, Person]] = field(default_factory=dict)
    _rights: dict[tuple[bytes, Permission], tuple[float, bool]] = field(default_factory=dict)

    def person(self, token: str) -> Person:
        """Find out whose token this is.

        Raises:
            Unauthenticated: nobody's.
            Unavailable: the API server can't be asked.
        """
        key = hashlib.sha256(token.encode()).digest()
        kept = self._people.get(key)
        if kept and kept[0] > self.clock():
            return kept[1]
        said = audiences(token)
        spec: Object = {"token": token}
        if CLAIM_AUDIENCE in said:
            # Without it the API server asks for its own. One that knows no audiences names none.
            spec["audiences"] = [CLAIM_AUDIENCE]
        status = self._ask(_TOKEN_REVIEWS, "TokenReview", "authentication", spec)
        named = set(status.get("audiences") or ()) >= set(spec.get("audiences", ()))
        if not status.get("authenticated") or not named:
            raise Unauthenticated("The Kubernetes API does not accept this token; it may be old")
        person = _person(status["user"], token, is_for_us_alone=said == (CLAIM_AUDIENCE,))
        _keep(self._people, key, (self.clock() + KEPT_SECONDS, person))
        return person

    def may(self, person: Person, permission: Permission) -> bool:
        """Tell whether the person has the right.

        Raises:
            Unavailable: the API server can't be asked.
        """
        key = (hashlib.sha256(person.token.encode()).digest(), permission)
        kept = self._rights.get(key)
        if kept and kept[0] > self.clock():
            return kept[1]
        spec = _access(person, permission)
        status = self._ask(_ACCESS_REVIEWS, "SubjectAccessReview", "authorization", spec)
        allowed = bool(status.get("allowed"))
        _keep(self._rights, key, (self.clock() + KEPT_SECONDS, allowed))
        return allowed

    def _ask(self, path: str, kind: str, group: str, spec: Object) -> Object:
        body = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}
        try:
            answer = self.kube.create(path, body)
        except (KubeDown, KubeError) as exc:
            raise Unavailable(f"The Kubernetes API can't be asked who you are: {exc}") from exc
        status: Object = answer.get("status", {})
        return status


def _keep(kept: dict[_K, _V], key: _K, value: _V) -> None:
    if len(kept) >= _MOST:
        kept.clear()
    kept[key] = value


def _person(user: Object, token: str, *, is_for_us_alone: bool) -> Person:
    extra = user.get("extra") or {}
    return Person(
        username=user.get("username", ""),
        uid=user.get("uid", ""),
        groups=tuple(user.get("groups") or ()),
        extra=tuple(sorted((key, tuple(values)) for key, values in extra.items())),
        token=token,
        is_for_us_alone=is_for_us_alone,
    )


def _access(person: Person, permission: Permission) -> Object:
    attributes = {
        "group": GROUP,
        "resource": permission.resource,
        "verb": permission.verb,
        "namespace": permission.namespace,
    }
    return {
        "user": person.username,
        "uid": person.uid,
        "groups": list(person.groups),
        "extra": {key: list(values) for key, values in person.extra},
        "resourceAttributes": attributes,
    }
