"""Remembers which namespace the records of a name belong to: a name may be another team's later.

Everything is kept by the namespace's name: experiments, runs, files. A namespace that was deleted
and made again is another one, as its UID says; what the old one recorded is then set aside under
a name that no namespace can have, where nobody sees it, and the new one begins with nothing.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from mlflow.store.db.base_sql_model import Base
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from trainyard_api.contract import GROUP

from trainyard_tracking.errors import NotFound, Unavailable
from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object
from trainyard_tracking.watching import Cache

_log = logging.getLogger(__name__)
KEEPS = f"{GROUP}/keeps-records-of"
"""Annotation of a namespace that was restored: the UID that it had."""
_MOST = 10_000
_NAME = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TABLE = sa.Table(
    "trainyard_namespaces",
    sa.MetaData(),
    sa.Column("namespace", sa.String(63), primary_key=True),
    sa.Column("uid", sa.String(64), nullable=False),
)
_FOLDERS = sa.Table(
    "trainyard_folders",
    _TABLE.metadata,
    sa.Column("namespace", sa.String(63), primary_key=True),
    sa.Column("folder", sa.String(128), nullable=False),
)
_OURS = (sa.Table("trainyard_runs", sa.MetaData(), sa.Column("namespace", sa.String(63))),)


def slim(namespace: Object) -> Object:
    """Keep of a namespace which one it is; there may be ten thousand."""
    metadata = namespace["metadata"]
    said = (metadata.get("annotations") or {}).get(KEEPS)
    kept = {name: metadata[name] for name in ("name", "uid", "resourceVersion") if name in metadata}
    return {"metadata": kept if said is None else {**kept, "annotations": {KEEPS: said}}}


@dataclass(slots=True)
class Tenants:
    """Tells whether a namespace exists, and keeps what is of one from the next; thread-safe."""

    engine: sa.Engine
    namespaces: Cache
    kube: Kube
    changed: Iterable[Callable[[], None]] = ()
    """What to forget when records were set aside."""
    _known: dict[str, str] = field(default_factory=dict)
    _folders: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        _TABLE.metadata.create_all(self.engine, checkfirst=True)

    def require(self, namespace: str) -> None:
        """See to it that what is kept under the name is this namespace's own.

        Raises:
            NotFound: there is no such namespace.
            Unavailable: the cluster would have to be asked, and is away.
        """
        found = self._find(namespace)
        if found is None:
            return
        uid = str(found["metadata"].get("uid", ""))
        if self._known.get(namespace) == uid:
            return
        with self._lock:
            self._settle(namespace, uid, found["metadata"].get("annotations") or {})
            _keep(self._known, namespace, uid)
            # Another process may have set aside.
            self._folders.pop(namespace, None)

    def used(self) -> set[str]:
        """Give the namespaces that anything was asked for, now or earlier."""
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(_TABLE.c.namespace)).scalars())

    def folder(self, namespace: str) -> str:
        """Tell where the published content of a namespace is: a team's, not of all of its name.

        Content has no rows that could be set aside, and is too much to be moved.
        """
        with self._lock:
            known = self._folders.get(namespace)
            if known is None:
                query = sa.select(_FOLDERS.c.folder).where(_FOLDERS.c.namespace == namespace)
                with self.engine.connect() as connection:
                    known = str(connection.execute(query).scalar() or namespace)
                _keep(self._folders, namespace, known)
            return known

    def _find(self, namespace: str) -> Object | None:
        """Find a namespace; None if it was there and the cluster can't be asked."""
        is_read = self.namespaces.synced.is_set()
        found = self.namespaces.get("", namespace) if is_read else None
        if found is not None:
            return found
        missing = NotFound(f"Namespace {namespace!r} does not exist: is it spelled right?")
        if not _NAME.fullmatch(namespace):
            raise missing
        try:
            # It may be newer than what the watch has told.
            return self.kube.get(f"/api/v1/namespaces/{namespace}")
        except KubeDown as exc:
            # Who comes in meanwhile is a Run of what was there, or was let in a minute ago.
            if namespace in self._known or self._recorded(namespace):
                return None
            raise Unavailable(f"The Kubernetes API can't be asked for {namespace}: {exc}") from exc
        except KubeError as exc:
            if exc.status == 404:
                raise missing from exc
            raise Unavailable(f"The Kubernetes API does not show {namespace}: {exc}") from exc

    def _recorded(self, namespace: str) -> bool:
        query = sa.select(_TABLE.c.uid).where(_TABLE.c.namespace == namespace)
        with self.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _settle(self, namespace: str, uid: str, said: Object) -> None:
        mine = _TABLE.c.namespace == namespace
        with self.engine.begin() as connection:
            before = connection.execute(sa.select(_TABLE.c.uid).where(mine)).scalar()
            if before is None:
                connection.execute(_TABLE.insert().values(namespace=namespace, uid=uid))
                return
            if before == uid:
                return
            # `default` can't be deleted: another UID is that of another cluster, not of a team.
            if said.get(KEEPS) != before and namespace != DEFAULT_WORKSPACE_NAME:
                _set_aside(connection, namespace, aside(namespace, before))
                _begin_folder(connection, namespace, uid)
            connection.execute(_TABLE.update().where(mine).values(uid=uid))
        _log.warning("namespace %s was %s and is now %s", namespace, before, uid)
        for forget in self.changed:
            forget()


def _keep(kept: dict[str, str], namespace: str, value: str) -> None:
    """Keep a value, and those of so many others; what is forgotten is asked again."""
    kept.pop(namespace, None)
    while len(kept) >= _MOST:
        del kept[next(iter(kept))]
    kept[namespace] = value


def aside(namespace: str, uid: str) -> str:
    """Return under which name the records of a namespace that is gone are kept."""
    return f"{namespace[:40]}/{uid[:20]}"


def _begin_folder(connection: sa.Connection, namespace: str, uid: str) -> None:
    connection.execute(_FOLDERS.delete().where(_FOLDERS.c.namespace == namespace))
    # A name that no namespace has.
    folder = f"{namespace}@{uid[:60]}"
    connection.execute(_FOLDERS.insert().values(namespace=namespace, folder=folder))


def _set_aside(connection: sa.Connection, namespace: str, name: str) -> None:
    there = set(sa.inspect(connection).get_table_names())
    for table in (*_OURS, *Base.metadata.sorted_tables):
        for column in (table.c.get("namespace"), table.c.get("workspace")):
            # Parents come first: where the database lets a child follow, it has followed by then.
            if column is not None and table.name in there:
                connection.execute(
                    sa.update(table).where(column == namespace).values({column.name: name})
                )
