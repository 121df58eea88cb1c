"""Which namespaces a person may list the Runs of: asked of the API server, and with measure.

One question answers for who may in all of them; of others each namespace is asked about. What was
said is kept the longer the more there are, so that who asks for the list again and again costs a
hundred questions a minute. A list is whole, or there is none yet: clients ask again by themselves.
MLflow's UI does not; it gets what is known so far.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trainyard_tracking.errors import Busy
from trainyard_tracking.identity import Person
from trainyard_tracking.reviews import KEPT_SECONDS, Allowance, Permission, Reviews

KEPT_SECONDS_EACH = 0.6
OF_ONE = 1_000
OF_ALL = 4_000
"""Questions a minute for the lists of one owner, and of all."""
_AT_ONCE = 8
_PATIENCE = 10.0
_AGAIN = 2
_SPREAD = range(20)
"""Seconds that are waited longer: those who spent one minute together come together in the next."""
_MOST, _PEOPLE = 200_000, 5_000
"""Answers that are kept, and people that they are of."""
_OF_A_TOKEN = "authentication.kubernetes.io/"  # noqa: S105  # which token it is, not who
"""What the API server says of a token by itself begins so; it changes with each."""

_Who = tuple[object, ...]


@dataclass(slots=True)
class _Known:
    """What was said of one person, by namespace: until when that is good, and whether he may."""

    said: dict[str, tuple[float, bool]] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Visible:
    """Answers for lists; thread-safe, and the same for all tokens of a person."""

    reviews: Reviews
    clock: Callable[[], float] = time.monotonic
    allowance: Allowance = field(init=False)
    _known: "OrderedDict[_Who, _Known]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "visible")
    )

    def __post_init__(self) -> None:
        self.allowance = Allowance(OF_ONE, OF_ALL, self.clock)

    def among(self, person: Person, verb: str, resource: str, names: list[str]) -> list[str]:
        """Give those of these namespaces in which the person has the right.

        Raises:
            Busy: too much would have to be asked in this minute; what was said is kept.
            Unavailable: the API server can't be asked.
        """
        if self.reviews.may(person, Permission(resource, verb)):
            return names
        known = self._of((_who(person), verb, resource))
        if not known.asking.acquire(timeout=_PATIENCE):
            raise _not_yet(0, len(names), _AGAIN)
        try:
            self._ask(person, Permission(resource, verb), names, known.said)
            return [name for name in names if known.said[name][1]]
        finally:
            known.asking.release()

    def known(self, person: Person, verb: str, resource: str, names: list[str]) -> list[str]:
        """Give those of these namespaces of which it was said, and holds yet, that he may."""
        said, now = self._of((_who(person), verb, resource)).said, self.clock()
        found = ((name, *said.get(name, (0.0, False))) for name in names)
        return [name for name, until, may in found if may and until > now]

    def _ask(
        self,
        person: Person,
        right: Permission,
        names: list[str],
        said: dict[str, tuple[float, bool]],
    ) -> None:
        begun = self.clock()
        until = begun + max(KEPT_SECONDS, KEPT_SECONDS_EACH * len(names))
        unknown = [name for name in names if said.get(name, (0.0, False))[0] <= begun]
        asked = len(names) - len(unknown)
        for gone in said.keys() - set(names):
            del said[gone]
        # A few at a time: others who ask meanwhile have their turn between.
        for start in range(0, len(unknown), _AT_ONCE):
            some = unknown[start : start + _AT_ONCE]
            wait = self.allowance.wait(person.owner, len(some))
            if wait or self.clock() > begun + _PATIENCE:
                raise _not_yet(asked, len(names), wait or _AGAIN)
            self.allowance.spend(person.owner, len(some))
            rights = [Permission(right.resource, right.verb, name) for name in some]
            found = list(self._pool.map(lambda one: self.reviews.asked(person, one), rights))
            said.update((name, (until, may)) for name, may in zip(some, found, strict=True))
            asked += len(some)

    def _of(self, who: _Who) -> _Known:
        """Give what is known of a person, and forget those who have not asked for longest."""
        with self._lock:
            known = self._known.setdefault(who, _Known())
            self._known.move_to_end(who)
            held = sum(len(one.said) for one in self._known.values())
            while len(self._known) > 1 and (held > _MOST or len(self._known) > _PEOPLE):
                held -= len(self._known.popitem(last=False)[1].said)
            return known


def _who(person: Person) -> _Who:
    extra = tuple(one for one in person.extra if not one[0].startswith(_OF_A_TOKEN))
    return person.username, person.uid, person.groups, extra


def _not_yet(asked: int, of: int, wait: int) -> Busy:
    again = wait + random.choice(_SPREAD)  # noqa: S311  # spreads, hides nothing
    return Busy(
        f"Which of {of} namespaces are yours is being found out, {asked} are looked at: ask again"
        f" in {again} s, or name the workspace that you want",
        again,
    )
