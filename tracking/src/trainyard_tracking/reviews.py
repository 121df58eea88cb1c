"""Asks the API server who a token belongs to and what its owner may do.

Answers are kept for a minute, refusals for ten seconds. While the API server is away there is no
answer: 503, never a yes.
"""

import hashlib
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from trainyard_api.contract import CLAIM_AUDIENCE, GROUP

from trainyard_tracking.errors import Busy, Unauthenticated, Unavailable
from trainyard_tracking.identity import Person
from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object
from trainyard_tracking.tokens import audiences

_K = TypeVar("_K")
_V = TypeVar("_V")

KEPT_SECONDS = 60.0
REFUSED_SECONDS = 10.0
ASKED_AT_ONCE = 4
"""Tokens that the API server is asked about at once: half of the places at the door."""
REFUSALS = 300
"""Refused rights of one owner in a minute, after which nobody of it is asked about."""
_MINUTE = 60.0
_MOST = 10_000
_FORGOTTEN_SECONDS = 3600.0
"""After which the operator is no longer known by its token alone either."""
_FORGOTTEN_AT_ONCE = 10
_LONGEST_TOKEN = 16_384

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
class Allowance:
    """How much may be asked within a minute, for one owner and for all together; thread-safe.

    A quarter is kept for those who come when the rest is spent.
    """

    of_one: int
    of_all: float
    clock: Callable[[], float]
    _minute: int = 0
    _spent: dict[str, int] = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)
    _all: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, owner: str, count: int = 1) -> int:
        """Tell after how many seconds so many more may be asked; 0 if they may now."""
        with self._lock:
            now = self._now()
            spent = self._spent.get(owner, 0) + count
            most = self.of_all if self._is_late(owner, count) else self._first
            if spent <= self.of_one and self._all + count <= most:
                return 0
            return int(_MINUTE - now % _MINUTE) + 1

    def spend(self, owner: str, count: int = 1) -> None:
        with self._lock:
            self._now()
            if self._is_late(owner, count):
                self._late.add(owner)
            self._spent[owner] = self._spent.get(owner, 0) + count
            self._all += count

    @property
    def _first(self) -> float:
        return self.of_all * 3 / 4

    def _is_late(self, owner: str, count: int) -> bool:
        return owner in self._late or (owner not in self._spent and self._all + count > self._first)

    def _now(self) -> float:
        now = self.clock()
        if int(now // _MINUTE) != self._minute:
            self._minute = int(now // _MINUTE)
            self._spent.clear()
            self._late.clear()
            self._all = 0
        return now


@dataclass(slots=True)
class Reviews:
    """The API server's word on tokens and rights; thread-safe.

    A token that nobody knows costs one question in ten seconds, and few of them are asked about at
    once: whoever sends new ones without end waits for nobody but for others like him. Whose token
    was good a minute ago is let in on that word while there is no place to ask.
    """

    kube: Kube
    clock: Callable[[], float] = time.monotonic
    refusals: "Allowance" = field(init=False)
    _people: dict[bytes, tuple[float, Person]] = field(default_factory=dict)
    _refused: dict[bytes, float] = field(default_factory=dict)
    _rights: dict[tuple[bytes, Permission], tuple[float, bool]] = field(default_factory=dict)
    _asking: dict[bytes, "Future[Person]"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.refusals = Allowance(REFUSALS, math.inf, self.clock)

    def person(self, token: str) -> Person:
        """Find out whose token this is.

        Raises:
            Unauthenticated: nobody's.
            Busy: too many tokens are being asked about.
            Unavailable: the API server can't be asked.
        """
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated(f"A token has at most {_LONGEST_TOKEN} characters")
        key = hashlib.sha256(token.encode()).digest()
        kept = self._people.get(key)
        if kept and kept[0] > self.clock():
            return kept[1]
        if self._refused.get(key, 0) > self.clock():
            raise _unknown()
        mine: Future[Person] = Future()
        with self._lock:
            asked = self._asking.get(key)
            full = len(self._asking) >= ASKED_AT_ONCE
            if asked is None and not full:
                self._asking[key] = mine
        if asked is not None:
            return asked.result()
        if not full:
            return self._review(key, token, mine)
        if kept and kept[0] + KEPT_SECONDS > self.clock():
            return kept[1]
        raise Busy("Too many unknown tokens at the moment: try again in 2 s", 2)

    def _review(self, key: bytes, token: str, mine: "Future[Person]") -> Person:
        """Ask about a token, and tell those who wait for the same answer."""
        try:
            person = self._reviewed(key, token)
        except BaseException as exc:
            mine.set_exception(exc)
            raise
        else:
            mine.set_result(person)
            return person
        finally:
            with self._lock:
                del self._asking[key]

    def _reviewed(self, key: bytes, token: str) -> Person:
        said = audiences(token)
        spec: Object = {"token": token}
        if CLAIM_AUDIENCE in said:
            # Without it the API server asks for its own. One that knows no audiences names none.
            spec["audiences"] = [CLAIM_AUDIENCE]
        status = self._ask(_TOKEN_REVIEWS, "TokenReview", "authentication", spec)
        named = set(status.get("audiences") or ()) >= set(spec.get("audiences", ()))
        if not status.get("authenticated") or not named:
            self._people.pop(key, None)
            self._keep(self._refused, key, self.clock() + REFUSED_SECONDS)
            raise _unknown()
        person = _person(status["user"], token, is_for_us_alone=said == (CLAIM_AUDIENCE,))
        self._keep(self._people, key, (self.clock() + KEPT_SECONDS, person))
        self._forget_old()
        return person

    def _forget_old(self) -> None:
        """Forget whom nobody has asked about for long, the oldest first: they have tokens."""
        with self._lock:
            for key, (until, _) in list(islice(self._people.items(), _FORGOTTEN_AT_ONCE)):
                if until + _FORGOTTEN_SECONDS <= self.clock():
                    self._people.pop(key, None)

    def may(self, person: Person, permission: Permission) -> bool:
        """Tell whether the person has the right.

        Raises:
            Busy: the person was refused too often in this minute.
            Unavailable: the API server can't be asked.
        """
        key = (hashlib.sha256(person.token.encode()).digest(), permission)
        kept = self._rights.get(key)
        if kept and kept[0] > self.clock():
            return kept[1]
        if wait := self.refusals.wait(person.owner):
            raise Busy(
                f"You, or your namespace, were refused {REFUSALS} times in a minute: wait {wait} s",
                wait,
            )
        allowed = self.asked(person, permission)
        if not allowed:
            self.refusals.spend(person.owner)
        self._keep(self._rights, key, (self.clock() + KEPT_SECONDS, allowed))
        return allowed

    def asked(self, person: Person, permission: Permission) -> bool:
        """Ask whether the person has the right, whatever was said before.

        Raises:
            Unavailable: the API server can't be asked.
        """
        spec = _access(person, permission)
        status = self._ask(_ACCESS_REVIEWS, "SubjectAccessReview", "authorization", spec)
        return bool(status.get("allowed"))

    def had(self, token: str, permission: Permission) -> bool:
        """Tell whether the token was good and had the right when last asked: a hint, no answer."""
        if len(token) > _LONGEST_TOKEN:
            return False
        key = hashlib.sha256(token.encode()).digest()
        _, allowed = self._rights.get((key, permission), (0.0, False))
        return allowed and key in self._people

    def _keep(self, kept: dict[_K, _V], key: _K, value: _V) -> None:
        """Keep an answer, and as many of the newest others as there is room for."""
        with self._lock:
            kept.pop(key, None)
            while len(kept) >= _MOST:
                del kept[next(iter(kept))]
            kept[key] = value

    def _ask(self, path: str, kind: str, group: str, spec: Object) -> Object:
        body = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}
        try:
            answer = self.kube.create(path, body)
        except (KubeDown, KubeError) as exc:
            raise Unavailable(f"The Kubernetes API can't be asked who you are: {exc}") from exc
        status: Object = answer.get("status", {})
        return status


def _unknown() -> Unauthenticated:
    return Unauthenticated("The Kubernetes API does not accept this token; it may be old")


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
