"""Keeps what the API server says about one kind in memory, and up to date.

Reads of the registry come from here, so they go on while the API server is away. A write's
answer is put in at once (read your writes); an older event that comes later is ignored.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from trainyard_tracking.errors import Busy
from trainyard_tracking.kube import Kube, KubeDown, Object, resource_path

_log = logging.getLogger(__name__)
Key = tuple[str, str]

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
# A watch that lasted this long, or told something, was one; the next begins at once.
_LASTED = 5.0
_MOST_GONE = 10_000
_ASK_AGAIN = 5
_PAGE = 500
"""Objects of one answer: what is not kept of thousands is not in memory at once."""


def revision(resource: Object) -> int:
    """Give the resourceVersion as a number: since Kubernetes 1.35 they may be compared."""
    version = str(resource.get("metadata", {}).get("resourceVersion", "0"))
    return int(version) if version.isdecimal() else 0


def _key(resource: Object) -> Key:
    metadata = resource["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


@dataclass(slots=True)
class Cache:
    """All objects of one kind, safe to read from any thread.

    Until it has been filled once, nobody can tell what is not there from what is not read yet:
    readers get `Busy` then, whatever they ask.

    Attributes:
        keys: What an object can be found by, besides its name.
        synced: Set once the cluster was read.
    """

    plural: str
    simplify: Callable[[Object], Object] = lambda resource: resource
    keys: Callable[[Object], Iterable[str]] = lambda resource: ()
    synced: threading.Event = field(default_factory=threading.Event)
    _objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    _found: dict[Key, dict[str, Object]] = field(default_factory=dict)
    _words: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    _gone: dict[Key, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, namespace: str, name: str) -> Object | None:
        self._must_be_filled()
        with self._lock:
            return self._objects.get(namespace, {}).get(name)

    def within(self, namespace: str | None = None) -> list[Object]:
        self._must_be_filled()
        with self._lock:
            wanted = self._objects if namespace is None else (namespace,)
            return [one for where in wanted for one in self._objects.get(where, {}).values()]

    def by(self, namespace: str, key: str) -> list[Object]:
        """Give the objects of a namespace that have a key, without looking at any other."""
        self._must_be_filled()
        with self._lock:
            return list(self._found.get((namespace, key), {}).values())

    def put(self, resource: Object) -> None:
        """Take in a resource unless something newer is known."""
        key = _key(resource)
        kept = self._prepared(resource)
        with self._lock:
            known = self._known(key)
            newest = max(revision(known) if known else -1, self._gone.get(key, -1))
            if revision(resource) >= newest:
                self._forget(key)
                self._keep(key, *kept)
                self._gone.pop(key, None)

    def remove(self, resource: Object) -> None:
        """Forget a resource; `resource` is its last state."""
        key = _key(resource)
        with self._lock:
            known = self._known(key)
            if known is None or revision(known) <= revision(resource):
                self._forget(key)
                self._gone[key] = revision(resource)
                # Only an event that is under way can be older; the first of so many is not.
                while len(self._gone) > _MOST_GONE:
                    del self._gone[next(iter(self._gone))]

    def replace(self, listed: list[Object], at: int) -> None:
        """Take in a whole list as of revision `at`; newer entries of our own writes stay."""
        fresh = {_key(resource): self._prepared(resource) for resource in listed}
        with self._lock:
            for known in [one for kept in self._objects.values() for one in kept.values()]:
                key = _key(known)
                newer = revision(known) > (revision(fresh[key][0]) if key in fresh else at)
                if newer or revision(known) > at:
                    fresh[key] = known, self._words[key]
            self._objects, self._found, self._words = {}, {}, {}
            for key, kept in fresh.items():
                self._keep(key, *kept)
            self._gone = {key: gone for key, gone in self._gone.items() if gone > at}
        self.synced.set()

    def _must_be_filled(self) -> None:
        if not self.synced.is_set():
            message = f"The {self.plural} of the cluster are not read yet: try again"
            raise Busy(f"{message} in {_ASK_AGAIN} s", _ASK_AGAIN)

    def _known(self, key: Key) -> Object | None:
        return self._objects.get(key[0], {}).get(key[1])

    def _prepared(self, resource: Object) -> tuple[Object, tuple[str, ...]]:
        """Give what is kept of a resource, and its keys: if that fails nothing was changed yet.

        What somebody wrote into one resource costs its own keys at most, never all the others.
        """
        kept = self.simplify(resource)
        try:
            words = tuple(self.keys(kept))
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is of this one
            _log.warning("%s %s has no keys: %r", self.plural, "/".join(_key(resource)), exc)
            words = ()
        return kept, words

    def _keep(self, key: Key, resource: Object, words: tuple[str, ...]) -> None:
        namespace, name = key
        self._objects.setdefault(namespace, {})[name] = resource
        self._words[key] = words
        for word in words:
            self._found.setdefault((namespace, word), {})[name] = resource

    def _forget(self, key: Key) -> None:
        namespace, name = key
        kept = self._objects.get(namespace, {})
        kept.pop(name, None)
        if not kept:
            # Namespaces come and go.
            self._objects.pop(namespace, None)
        for word in self._words.pop(key, ()):
            having = self._found[namespace, word]
            del having[name]
            if not having:
                del self._found[namespace, word]


@dataclass(slots=True)
class Watcher:
    """Fills a cache from the API server, in a thread of its own, until stopped."""

    kube: Kube
    cache: Cache
    clock: Callable[[], float] = time.monotonic
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        name = f"watch-{self.cache.plural}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def list_once(self) -> str:
        """List everything; give the revision to watch from."""
        path = resource_path(self.cache.plural)
        found = self.kube.get(f"{path}?limit={_PAGE}")
        kept = [self.cache.simplify(item) for item in found["items"]]
        while token := found["metadata"].get("continue"):
            found = self.kube.get(f"{path}?limit={_PAGE}&continue={quote(token)}")
            kept += [self.cache.simplify(item) for item in found["items"]]
        # All pages are of one revision.
        self.cache.replace(kept, revision(found))
        return str(found["metadata"]["resourceVersion"])

    def _run(self) -> None:
        wait = _FIRST_WAIT
        since = ""
        while not self._stop.is_set():
            begun = self.clock()
            before = since
            why = "it ended at once"
            try:
                before = since = since or self.list_once()
                since = self._follow(since)
                if since not in {"", before} or self.clock() - begun >= _LASTED:
                    wait = _FIRST_WAIT
                    continue
            except Exception as exc:  # noqa: BLE001  # a watch that ends would never be noticed
                why = repr(exc)
                if not isinstance(exc, KubeDown):
                    since = ""
            _log.warning("watching %s: %s; again in %.1f s", self.cache.plural, why, wait)
            self._stop.wait(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _follow(self, since: str) -> str:
        for event in self.kube.watch(resource_path(self.cache.plural), since):
            if self._stop.is_set():
                break
            if event["type"] == "ERROR":
                # Most often 410 Gone: our revision is too old, so list again.
                return ""
            resource = event["object"]
            since = resource["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self.cache.remove(resource)
            elif event["type"] != "BOOKMARK":
                self.cache.put(resource)
        return since
