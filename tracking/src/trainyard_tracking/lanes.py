"""Threads by purpose, so that requests which wait for one thing never take the place of others.

A database that is locked for seconds, an API server that hangs or an object store that is slow
holds the threads of its own lane, and no more. A lane has a queue, bounded in length and time:
whoever can't be served soon is told when to ask again, not left to guess.
"""

import math
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, Event, WouldBlock, fail_after, to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainyard_tracking.deadlines import is_read
from trainyard_tracking.errors import Busy

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_KEY = "trainyard.lane"
_OWNERS = "trainyard.owners"
# MLflow's client tries seven times. It waits as long as it is told; without being told, not at
# all before the first of them. Spread, since those who were refused together come together.
_AGAIN = range(10, 31)
_FREE = CapacityLimiter(math.inf)


async def in_a_thread(work: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    """Work in a thread at once: whoever calls this has a place already."""
    return await to_thread.run_sync(work, *args, limiter=_FREE)


@dataclass(slots=True)
class Lane:
    """So many at a time, a queue for the others, and the seconds that one stays in it."""

    places: int
    queue: int
    patience: float
    _taken: CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self._taken = CapacityLimiter(self.places)

    @asynccontextmanager
    async def place(
        self, owners: tuple[str, ...] = (), *, has_begun: bool = False
    ) -> AsyncIterator[None]:
        """Hold a place.

        Args:
            owners: Whose share it is taken of, where the lane has shares.
            has_begun: An answer that has begun waits for as long as it takes.

        Raises:
            Busy: too many wait for one, or it took too long.
        """
        holder = object()
        try:
            self._taken.acquire_on_behalf_of_nowait(holder)
        except WouldBlock:
            await self._wait(holder, has_begun=has_begun)
        try:
            yield
        finally:
            self._taken.release_on_behalf_of(holder)

    async def _wait(self, holder: object, *, has_begun: bool) -> None:
        if self._taken.statistics().tasks_waiting >= self.queue and not has_begun:
            raise _busy()
        try:
            with fail_after(None if has_begun else self.patience):
                await self._taken.acquire_on_behalf_of(holder)
        except TimeoutError:
            raise _busy() from None

    async def run(
        self, work: Callable[[*_Ts], _T], *args: *_Ts, owners: tuple[str, ...] = ()
    ) -> _T:
        """Work in a thread.

        Raises:
            Busy: there was none in time; nothing was done.
        """
        async with self.place(owners):
            return await in_a_thread(work, *args)


@dataclass(eq=False, slots=True)
class _Waiter:
    """One request in a shared lane, and whose places it takes."""

    owners: tuple[str, ...]
    let_in: Event = field(default_factory=Event)


@dataclass(slots=True)
class SharedLane(Lane):
    """A lane of which one owner has three quarters at most, of the places and of the queue.

    Owners take turns, each with its own requests in the order in which they came: a hundred that
    wait hold up those of the same owner, and nobody else's one for longer than a turn.
    """

    _held: Counter[str] = field(default_factory=Counter)
    _waiting: dict[str, deque[_Waiter]] = field(default_factory=dict)
    """By the first owner of each; whose turn it is comes first."""

    @asynccontextmanager
    async def place(
        self, owners: tuple[str, ...] = (), *, has_begun: bool = False
    ) -> AsyncIterator[None]:
        """Hold a place, which counts against each of the owners; see Lane.place."""
        waiter = _Waiter(tuple(dict.fromkeys(owners)) or ("",))
        before = self._waiting.get(waiter.owners[0], ())
        if any(one.owners == waiter.owners for one in before) or not self._lets_in(waiter):
            await self._line_up(waiter, has_begun=has_begun)
        try:
            yield
        finally:
            self._leave(waiter)

    async def _line_up(self, waiter: _Waiter, *, has_begun: bool) -> None:
        own = self._waiting.get(waiter.owners[0], deque())
        waiting = sum(map(len, self._waiting.values()))
        if not has_begun and (waiting >= self.queue or len(own) >= share_of(self.queue)):
            raise _busy()
        own.append(waiter)
        self._waiting[waiter.owners[0]] = own
        try:
            with fail_after(None if has_begun else self.patience):
                await waiter.let_in.wait()
        except BaseException as exc:
            if waiter.let_in.is_set():
                self._leave(waiter)
            else:
                self._give_up(waiter)
            if isinstance(exc, TimeoutError):
                raise _busy() from None
            raise

    def _lets_in(self, waiter: _Waiter) -> bool:
        if any(self._held[owner] >= share_of(self.places) for owner in waiter.owners):
            return False
        try:
            self._taken.acquire_on_behalf_of_nowait(waiter)
        except WouldBlock:
            return False
        self._held.update(waiter.owners)
        return True

    def _leave(self, waiter: _Waiter) -> None:
        self._taken.release_on_behalf_of(waiter)
        self._held.subtract(waiter.owners)
        for owner in waiter.owners:
            if not self._held[owner]:
                del self._held[owner]
        self._let_others_in()

    def _give_up(self, waiter: _Waiter) -> None:
        own = self._waiting[waiter.owners[0]]
        own.remove(waiter)
        if not own:
            del self._waiting[waiter.owners[0]]
        self._let_others_in()

    def _let_others_in(self) -> None:
        for owner in tuple(self._waiting):
            if self._taken.available_tokens < 1:
                return
            own = self._waiting[owner]
            # One who waits for a namespace that has its share holds up nobody who wants another.
            first: dict[tuple[str, ...], _Waiter] = {}
            for each in own:
                first.setdefault(each.owners, each)
            one = next((each for each in first.values() if self._lets_in(each)), None)
            if one is not None:
                # What is left has its turn after all others.
                del self._waiting[owner]
                own.remove(one)
                one.let_in.set()
                if own:
                    self._waiting[owner] = own


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of the service; together they hold no more connections than the database's pool.

    The operator makes 24 calls at a time and gives each up after 5 s, 30 s with a log: what it
    gave up may still hold a thread. It hears of a full lane before that.
    """

    records: Lane = field(default_factory=lambda: Lane(24, 64, 4))
    """Recording and finishing Runs, which write into the database."""
    archives: Lane = field(default_factory=lambda: Lane(8, 64, 4))
    """Logs of Runs that end, which go into the object store; asks no database."""
    calls: Lane = field(default_factory=lambda: Lane(20, 64, 4))
    """What else the operator asks."""
    names: Lane = field(default_factory=lambda: Lane(8, 512, 4))
    """Who calls the operator's routes, where that isn't known yet; asks no database."""
    content: SharedLane = field(default_factory=lambda: SharedLane(12, 512, 20))
    """Code, models and logs, for pods and people."""
    manifests: SharedLane = field(default_factory=lambda: SharedLane(4, 64, 20))
    """Manifests that are published: each of their files is looked at; asks no database."""
    door: Lane = field(default_factory=lambda: Lane(6, 1024, 30))
    """What the code of a Run may: the database says so, never the API server."""
    people: Lane = field(default_factory=lambda: Lane(6, 1024, 30))
    """Who else asks, and what they may: the API server is asked, and may hang."""
    lists: SharedLane = field(default_factory=lambda: SharedLane(4, 256, 30))
    """Which workspaces there are for somebody: the API server is asked, often."""
    reads: SharedLane = field(default_factory=lambda: SharedLane(8, 512, 30))
    """MLflow's answers."""
    writes: SharedLane = field(default_factory=lambda: SharedLane(16, 1024, 30))
    """What is written through MLflow."""


def put(scope: Scope, lane: Lane) -> None:
    """Say in which lane a request is."""
    scope[_KEY] = lane


def own(scope: Scope, owners: tuple[str, ...]) -> None:
    """Say whose places a request takes in a lane that owners share."""
    scope[_OWNERS] = owners


def owners_in(scope: Scope) -> tuple[str, ...]:
    """Tell whose places a request takes; nobody's before it is known who asks."""
    found: tuple[str, ...] = scope.get(_OWNERS, ())
    return found


def in_lane(scope: Scope, work: Callable[[*_Ts], _T], *args: *_Ts) -> Awaitable[_T]:
    """Work in a thread of the lane in which a request is.

    Raises:
        Busy: there was none in time; nothing was done.
    """
    lane: Lane = scope[_KEY]
    return lane.run(work, *args, owners=owners_in(scope))


def in_thread(request: Request, work: Callable[[*_Ts], _T], *args: *_Ts) -> Awaitable[_T]:
    """Work in a thread of the request's lane; see in_lane."""
    return in_lane(request.scope, work, *args)


async def each_in_thread(request: Request, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read each chunk of an answer in a thread of the request's lane."""
    lane: Lane = request.scope[_KEY]
    while True:
        async with lane.place(owners_in(request.scope), has_begun=True):
            chunk = await in_a_thread(next, chunks, None)
        if chunk is None:
            return
        yield chunk


def share_of(of: int) -> int:
    """Tell how many of the places that all share one owner may have: never all."""
    return max(1, of * 3 // 4) if of else 0


def _busy() -> Busy:
    again = random.choice(_AGAIN)  # noqa: S311  # spreads, hides nothing
    return Busy(f"More is asked at the moment than can be answered: try again in {again} s", again)


@dataclass(slots=True)
class Queued:
    """Lets requests to MLflow's Flask app in by turns: it would take a thread for each at once.

    ASGI application that gives a request to `inside` once there is a place for it.

    It is taken when the body has arrived and free again when the answer begins, so that a client
    that is slow holds none.
    """

    inside: ASGIApp
    lanes: Lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return
        lane = self._lane(scope["method"], scope["path"])
        body = deque([await receive()])
        while body[-1].get("more_body", False):
            body.append(await receive())
        async with AsyncExitStack() as place:
            await place.enter_async_context(lane.place(owners_in(scope)))

            async def again() -> Message:
                return body.popleft() if body else await receive()

            async def freeing(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await place.aclose()
                await send(message)

            await self.inside(scope, again, freeing)

    def _lane(self, method: str, path: str) -> SharedLane:
        if path.endswith("/mlflow/workspaces"):
            return self.lanes.lists
        return self.lanes.reads if is_read(method, path) else self.lanes.writes
