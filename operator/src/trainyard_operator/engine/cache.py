"""What the watches have shown, trimmed, packed and indexed.

Packed: an object of which there are very many is held as JSON, compressed once it is over, and read
anew by whoever asks (10 µs): ten thousand Runs with their Jobs and pods take 40 MiB so, and several
times that as dicts, which the garbage collector would have to visit, too. Indexed: an object is
found by its controller, by a label or by what a kind says (kind.Kind.indexes), never by looking at
all others.

An object is never replaced by an older one, and one that was deleted comes back only if it is
seen with a newer version: `remember` may be called with our own writes at any time.
"""

import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import orjson

from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.trimming import trim
from trainyard_operator.metrics import CACHED

Indexer = Callable[[Object], Iterable[str]]
"""An object → the values that it is found by."""

_OWNER = "owner"
_PHASES, _ENDS = frozenset({"Succeeded", "Failed"}), frozenset({"Complete", "Failed"})
_TOMBSTONES = 20_000
# resource, name of the index, namespace, value
_Place = tuple[str, str, str, str]
Name = tuple[str, str]
"""Namespace and name."""


class _Held(NamedTuple):
    """An object as it is kept: text, or as it is where kinds read many at a time."""

    uid: str
    version: int
    places: tuple[_Place, ...]
    content: bytes | Object

    def read(self) -> Object:
        content = self.content
        if isinstance(content, dict):
            return content
        is_text = content.startswith(b"{")
        read: Object = orjson.loads(content if is_text else zlib.decompress(content))
        return read


def _packed(kept: Object) -> bytes:
    text = orjson.dumps(kept)
    # Level 1 takes a third of the space in 20 µs: once, not for each of ten changes before.
    return zlib.compress(text, 1) if _is_over(kept.get("status") or {}) else text


def _is_over(status: Object) -> bool:
    """Tell of a Run, a Job or a pod whether next to nothing of it changes any more."""
    if status.get("completionTime") or status.get("phase") in _PHASES:
        return True
    conditions = status.get("conditions") or ()
    return any(each["type"] in _ENDS and each["status"] == "True" for each in conditions)


class Cache:
    """All watched objects, by resource, namespace and name.

    Args:
        indexes: Resource → name of an index → what an object is found by.
        packed: Resources of which there are very many, and few are read at a time.
        whole: Resources whose objects are kept untrimmed, managedFields included.
    """

    def __init__(
        self,
        indexes: Mapping[str, Mapping[str, Indexer]] | None = None,
        *,
        packed: Collection[str] = (),
        whole: Collection[str] = (),
    ) -> None:
        self._indexers = indexes or {}
        self._packs = frozenset(packed)
        self._whole = frozenset(whole)
        self._held: dict[str, dict[Name, _Held]] = defaultdict(dict)
        self._found: dict[_Place, set[Name]] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return an object, None if there is none. Never change it."""
        held = self._held[resource].get((namespace, name))
        return held.read() if held else None

    def list(
        self,
        resource: str,
        namespace: str,
        *,
        owner: str = "",
        labels: Mapping[str, str] | None = None,
        by: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Object]:
        """Return objects of a namespace, sorted by name; see World.list."""
        wanted = labels or {}
        held = self._held[resource]
        names = sorted(self._names(resource, namespace, owner=owner, labels=wanted, by=by))
        found = (held[name].read() for name in names)
        return list(islice((each for each in found if _has(each, wanted)), limit))

    def count(self, resource: str, namespace: str, *, by: tuple[str, str]) -> int:
        """Return how many objects of a namespace an index finds; see World.count."""
        return len(self._found.get((resource, by[0], namespace, by[1]), ()))

    def all(self, resource: str) -> Iterator[Object]:
        """Yield every object of a resource."""
        for held in tuple(self._held[resource].values()):
            yield held.read()

    def names(self, resource: str) -> Sequence[Name]:
        """Return namespace and name of every object of a resource."""
        return tuple(self._held[resource])

    def versions(self, resource: str, namespace: str = "") -> Mapping[Name, tuple[str, int]]:
        """Return UID and version of every object of a resource, or of one namespace's."""
        return {
            name: (held.uid, held.version)
            for name, held in self._held[resource].items()
            if not namespace or name[0] == namespace
        }

    def remember(self, resource: str, seen: Object) -> bool:
        """Take in an object; tell whether it is news: newer, and other in what is kept of it."""
        meta = seen["metadata"]
        name, uid = name_of(seen), meta["uid"]
        version = version_of(seen)
        held = self._held[resource].get(name)
        if version <= self._gone.get(uid, -1) or (held and version <= held.version):
            return False
        if held is not None:
            self._forget(resource, name, held)
        kept = trim(resource, seen, whole=resource in self._whole)
        content = _packed(kept) if resource in self._packs else kept
        made = _Held(uid, version, tuple(self._places(resource, name[0], kept)), content)
        self._held[resource][name] = made
        for place in made.places:
            self._found.setdefault(place, set()).add(name)
        CACHED.labels(resource).set(len(self._held[resource]))
        return held is None or made.content != held.content

    def drop(self, resource: str, name: Name, uid: str, version: int) -> Object | None:
        """Forget an object that was deleted by then; return it as it was held.

        What has another UID, or is newer, stays.
        """
        self._gone[uid] = max(version, self._gone.get(uid, -1))
        if len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
        held = self._held[resource].get(name)
        if held is None or held.uid != uid or held.version > version:
            return None
        self._forget(resource, name, held)
        CACHED.labels(resource).set(len(self._held[resource]))
        return held.read()

    def _names(
        self,
        resource: str,
        namespace: str,
        *,
        owner: str,
        labels: Mapping[str, str],
        by: tuple[str, str] | None,
    ) -> Iterable[Name]:
        if by is None and owner:
            by = (_OWNER, owner)
        indexed = self._indexers.get(resource, {})
        by = by or next(((key, value) for key, value in labels.items() if key in indexed), None)
        if by is not None:
            return self._found.get((resource, by[0], namespace, by[1]), ())
        return (name for name in self._held[resource] if name[0] == namespace)

    def _places(self, resource: str, namespace: str, kept: Object) -> Iterator[_Place]:
        owner = objects.controller_uid(kept)
        if owner:
            yield resource, _OWNER, namespace, owner
        for index, indexer in self._indexers.get(resource, {}).items():
            for value in indexer(kept):
                yield resource, index, namespace, value

    def _forget(self, resource: str, name: Name, held: _Held) -> None:
        del self._held[resource][name]
        for place in held.places:
            found = self._found[place]
            found.discard(name)
            if not found:
                del self._found[place]


def name_of(seen: Object) -> Name:
    """Return namespace and name."""
    meta = seen["metadata"]
    return meta.get("namespace", ""), meta["name"]


def version_of(seen: Object) -> int:
    """Return the resource version, which servers compare as numbers since Kubernetes 1.35."""
    return int(seen["metadata"]["resourceVersion"])


def _has(each: Object, labels: Mapping[str, str]) -> bool:
    held = each["metadata"].get("labels") or {}
    return all(held.get(key) == value for key, value in labels.items())
