"""Files on their way in: hashed while they are sent on in parts, never on a disk, never whole.

A file takes three parts of memory: one that is read, one that is cut, one that is sent. It comes in
one request, or in slices of several: of those what is sent on and hashed so far is kept for a
day, so that a client which was cut off goes on where it was. A file that is all here and has its
digest is kept until it is put together, whatever fails at that, a kill of the service included:
nobody sends it again. What else a kill left behind is known by a note and aborted.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from anyio import fail_after
from trainyard_api.slices import MOST_PARTS, PART, part_size

from trainyard_tracking.errors import Busy, Conflict, Lost, TooLarge, Unavailable, Unprocessable
from trainyard_tracking.incoming import Bound, parts, whole
from trainyard_tracking.lanes import Lane, in_a_thread, share_of
from trainyard_tracking.objects import Objects
from trainyard_tracking.unfinished import Unfinished, noted

_log = logging.getLogger(__name__)
_KEPT_SECONDS = 24 * 3600.0
"""As long as publishing may take: the next attempt fetches all of the model before it goes on."""
_MOST_KEPT = 256
_MOST_OF_ONE = 32
"""Uploads kept of one owner: of more, the owner's own oldest go."""
_PLACES = 16
_WAIT = 20.0
_PATIENCE = 60.0
"""For how long a file that came whole is tried to be put together: clients wait two minutes."""
_PAUSE = 2.0
_AGAIN = 30


@dataclass(frozen=True, slots=True)
class Slice:
    """Which bytes of how many a request has; `total` None if nobody said."""

    begin: int
    length: int | None
    total: int | None

    @property
    def is_whole(self) -> bool:
        return self.begin == 0 and self.length == self.total


@dataclass(slots=True)
class _Several:
    """A lane of which one holder may take several places."""

    lane: Lane
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, held: AsyncExitStack, places: int) -> None:
        # One at a time: two that had half of what they need would wait for each other.
        async with self._turn:
            for _ in range(places):
                await held.enter_async_context(self.lane.place())


@dataclass(slots=True)
class Uploads:
    """Takes files in."""

    objects: Objects
    notes: Path
    largest: int
    small: Lane = field(default_factory=lambda: Lane(2 * _PLACES, 512, _WAIT))
    """Files of one part at most."""
    large: Lane = field(default_factory=lambda: Lane(_PLACES, 512, _WAIT))
    """The others; one with larger parts takes several places, so that memory has a bound."""
    _shares: dict[tuple[str, int], _Several] = field(default_factory=dict)
    _rooms: _Several = field(init=False)
    _kept: dict[str, Unfinished] = field(default_factory=dict)
    _busy: dict[str, Unfinished | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rooms = _Several(self.large)

    def offset(self, key: str) -> int:
        """Tell how many bytes of a file are here, of one that comes in slices."""
        known = self._kept.get(key) or self._busy.get(key)
        return known.offset if known else 0

    async def take(
        self,
        key: str,
        stream: AsyncIterator[bytes],
        size: int | None,
        *,
        digest: str = "",
        owner: str = "",
    ) -> bool:
        """Take a file of a namespace in one request; tell whether it was written.

        With a digest it is not written over another, without, it is.

        Raises:
            TooLarge: more than an installation takes.
            Unprocessable: it has another digest; nothing is written.
            Unavailable: the object store is away, or the client; nothing is written.
        """
        self._require_size(size)
        if size is not None and size <= PART:
            async with self._share(owner, self.small).lane.place(), self.small.place():
                data = await whole(stream, size)
                _require_digest(digest, hashlib.sha256(data).hexdigest() if digest else "")
                return await in_a_thread(lambda: self.objects.write(key, data, new=bool(digest)))
        async with self._room(owner, size) as grow:
            under = await in_a_thread(self._begin, key, size, owner)
            try:
                await self._send(under, _growing(stream, grow), size, is_last=True)
            except BaseException:
                await self._drop(under)
                raise
            return await self._complete(under, digest)

    async def take_slice(
        self, key: str, stream: AsyncIterator[bytes], some: Slice, *, digest: str, owner: str = ""
    ) -> bool | None:
        """Take a slice of a file; tell whether the file was written, None if more is to come.

        Raises:
            Conflict: it does not begin where the file ends, or another request sends the file.
        """
        if some.is_whole:
            return await self.take(key, stream, some.total, digest=digest, owner=owner)
        self._require_size(some.total)
        if key in self._busy:
            raise Conflict("Another request sends this file: ask how far it is, and go on there")
        self._busy[key] = self._kept.get(key)
        try:
            async with self._room(owner, some.total) as grow:
                self._busy[key] = under = await self._going_on(key, some, owner)
                return await self._take_on(under, _growing(stream, grow), some, digest)
        finally:
            del self._busy[key]

    def left(self) -> tuple[Unfinished, ...]:
        """Give what was under way when the service ended, but for what is all here: keep that."""
        found = tuple(noted(self.notes))
        self._kept |= {one.key: one for one in found if one.digest}
        return tuple(one for one in found if not one.digest)

    def sweep(self, left: Iterable[Unfinished]) -> None:
        """Abort what was under way when the service ended; whoever sent it sends it again."""
        for one in left:
            with suppress(OSError, Unavailable):
                self.objects.abort(one.key, one.id)
                one.note.unlink()
        # Bodies were on disk once.
        for folder in self.notes.parent.glob("upload-*"):
            rmtree(folder, ignore_errors=True)

    def _share(self, owner: str, lane: Lane) -> _Several:
        """Give the places of a lane that a namespace may have: never all."""
        shared = Lane(share_of(lane.places), 512, _WAIT)
        return self._shares.setdefault((owner, lane.places), _Several(shared))

    @asynccontextmanager
    async def _room(self, owner: str, total: int | None) -> AsyncIterator[Callable[[], Any]]:
        """Hold one place; give what takes as many as the parts of the file need.

        What a file says of its size costs nothing: the others are taken once it has sent as much
        as one is for.
        """
        share = self._share(owner, self.large)
        more = min(share.lane.places, part_size(total) // PART) - 1
        async with AsyncExitStack() as held:
            await held.enter_async_context(share.lane.place())
            await held.enter_async_context(self.large.place())

            async def grow() -> None:
                nonlocal more
                many, more = more, 0
                try:
                    with fail_after(_WAIT):
                        await share.take(held, many)
                        await self._rooms.take(held, many)
                except TimeoutError:
                    raise Busy(
                        f"There is no room for so large a file: try again in {_AGAIN} s", _AGAIN
                    ) from None

            yield grow

    async def _going_on(self, key: str, some: Slice, owner: str) -> Unfinished:
        await self._forget()
        kept = self._kept.get(key)
        if some.begin == 0:
            if kept is not None:
                await self._drop(self._kept.pop(key))
            return await in_a_thread(self._begin, key, some.total, owner)
        if kept is None or kept.offset != some.begin or kept.part != part_size(some.total):
            raise Conflict(f"The file has {self.offset(key)} bytes here, not {some.begin}")
        return self._kept.pop(key)

    async def _take_on(
        self, under: Unfinished, stream: AsyncIterator[bytes], some: Slice, digest: str
    ) -> bool | None:
        is_last = some.length is not None and some.begin + some.length == some.total
        try:
            await self._send(under, stream, some.length, is_last=is_last)
        except Lost:
            await self._drop(under)
            raise
        except BaseException:
            # What was sent on is good: the client was cut off, or the store was away.
            await self._keep(under)
            raise
        if not is_last:
            await self._keep(under)
            return None
        return await self._complete(under, digest)

    async def _keep(self, under: Unfinished) -> None:
        if not under.tags:
            # Nothing of it is here: whoever goes on begins anew.
            await self._drop(under)
            return
        under.at = time.monotonic()
        before, self._kept[under.key] = self._kept.get(under.key), under
        if before is not None and before is not under:
            await self._drop(before)
        await self._forget()

    async def _forget(self) -> None:
        """Abort what nobody went on with, and the oldest of those who have too many."""
        late = time.monotonic() - _KEPT_SECONDS
        for one in [one for one in self._kept.values() if one.at < late]:
            await self._let_go(one)
        while self._kept:
            owner, many = Counter(one.owner for one in self._kept.values()).most_common(1)[0]
            if many <= _MOST_OF_ONE and len(self._kept) <= _MOST_KEPT:
                return
            await self._let_go(
                min((o for o in self._kept.values() if o.owner == owner), key=lambda o: o.at)
            )

    async def _let_go(self, one: Unfinished) -> None:
        if self._kept.get(one.key) is one:
            del self._kept[one.key]
            await self._drop(one)

    def _begin(self, key: str, total: int | None, owner: str) -> Unfinished:
        upload = self.objects.begin(key)
        name = hashlib.sha256(f"{key} {upload}".encode()).hexdigest()
        note = self.notes / f"{name[:32]}.json"
        under = Unfinished(key, upload, part_size(total), note, owner)
        try:
            under.take_note()
        except OSError as exc:
            # Without a note nobody would know of it after a kill.
            self.objects.abort(key, upload)
            _log.warning("the volume takes no note of an upload: %s", exc)
            raise Unavailable("The service's own volume takes no files: try again later") from exc
        return under

    async def _send(
        self, under: Unfinished, stream: AsyncIterator[bytes], length: int | None, *, is_last: bool
    ) -> None:
        """Send parts on while the next is read; a rest that fills none only at the end."""
        sending: asyncio.Future[None] | None = None
        try:
            async for part in parts(stream, under.part, self._bound(length)):
                if sending is not None:
                    await sending
                    sending = None
                if len(part) < under.part and not is_last:
                    return
                sending = asyncio.ensure_future(in_a_thread(self._send_part, under, part))
        finally:
            if sending is not None:
                await asyncio.shield(sending)

    def _send_part(self, under: Unfinished, part: bytes) -> None:
        tag = self.objects.part(under.key, under.id, len(under.tags) + 1, part)
        under.hasher.update(part)
        under.tags.append(tag)
        under.offset += len(part)

    async def _complete(self, under: Unfinished, digest: str) -> bool:
        """Put a file together that is all here; with a digest it is kept until that is done."""
        try:
            _require_digest(digest, under.digest or under.hasher.hexdigest())
            under.digest = digest
            return await self._put_together(under)
        except BaseException as exc:
            if digest and not isinstance(exc, Unprocessable | Lost):
                await self._keep(under)
            else:
                await self._drop(under)
            raise

    async def _put_together(self, under: Unfinished) -> bool:
        """Do it; for who can't come back to what is kept, with patience."""
        begun = time.monotonic()
        while True:
            try:
                return await in_a_thread(self._finish, under)
            except Unavailable as exc:
                is_late = time.monotonic() - begun >= _PATIENCE
                if under.digest or is_late or isinstance(exc, Lost):
                    raise
                _log.warning("%s is not put together yet: %s", under.key, exc)
            await asyncio.sleep(_PAUSE)

    def _finish(self, under: Unfinished) -> bool:
        new = bool(under.digest)
        if not under.tags:
            # S3 knows no upload without a part.
            done = self.objects.write(under.key, b"", new=new)
            self.objects.abort(under.key, under.id)
        else:
            if new:
                with suppress(OSError):  # it is known for as long as this process lives
                    under.take_note()
            done = self.objects.complete(under.key, under.id, under.tags, new=new)
            if not done:
                self.objects.abort(under.key, under.id)
        under.note.unlink(missing_ok=True)
        return done

    async def _drop(self, under: Unfinished) -> None:
        """Abort an upload; if the store is away its note stays, for the next start."""

        def work() -> None:
            try:
                self.objects.abort(under.key, under.id)
                under.note.unlink(missing_ok=True)
            except Unavailable as exc:
                _log.warning("an upload of %s is not aborted yet: %s", under.key, exc)

        await asyncio.shield(asyncio.ensure_future(in_a_thread(work)))

    def _require_size(self, size: int | None) -> None:
        if size is not None and size > self.largest:
            raise TooLarge(
                f"A file of {size} bytes is more than the {self.largest} that this service takes:"
                " tracking.largestFile of the chart says how many"
            )

    def _bound(self, length: int | None) -> Bound:
        if length is None:
            return Bound(min(self.largest, MOST_PARTS * PART), is_stated=False)
        return Bound(length)


async def _growing(stream: AsyncIterator[bytes], grow: Callable[[], Any]) -> AsyncIterator[bytes]:
    """Pass a stream on, and take its room once it is more than the smallest part."""
    came = 0
    async for chunk in stream:
        if came <= PART < came + len(chunk):
            await grow()
        came += len(chunk)
        yield chunk


def _require_digest(digest: str, found: str) -> None:
    if digest and digest != found:
        raise Unprocessable(
            f"The content has digest sha256:{found}, not sha256:{digest}: upload it again"
        )
