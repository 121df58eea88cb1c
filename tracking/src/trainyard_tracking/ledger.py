"""Remembers which MLflow runs are Runs of the cluster, and until when their tokens are good.

One small table beside MLflow's own, in the same database, mirrored in memory: a run token is
checked on every request. Nothing about the content of a run is kept here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from trainyard_api.contract import TOKEN_GRACE_SECONDS

from trainyard_tracking.answers import without_database
from trainyard_tracking.errors import Forbidden, Unauthenticated
from trainyard_tracking.identity import RunIdentity
from trainyard_tracking.tokens import RunClaim

KNOWN_SECONDS = 5.0
_TABLE = sa.Table(
    "trainyard_runs",
    sa.MetaData(),
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("experiment_id", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.BigInteger, nullable=True),
    sa.Index("index_trainyard_runs_active", "namespace", "finished_at"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One Run; `finished_at` is in seconds since 1970."""

    run_id: str
    namespace: str
    name: str
    experiment_id: str
    finished_at: int | None = None


@dataclass(slots=True)
class Ledger:
    """The table and its mirror; thread-safe.

    That a Run has finished never changes; that it has not is looked up again after some seconds,
    for another process may have heard of its end.
    """

    engine: sa.Engine
    clock: Callable[[], float] = time.time
    _entries: dict[str, tuple[Entry, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _TABLE.metadata.create_all(self.engine, checkfirst=True)

    def find(self, run_id: str) -> Entry | None:
        """Give what is known of a Run.

        Raises:
            NoDatabase: the database does not answer.
        """
        kept, until = self._entries.get(run_id, (None, 0.0))
        if kept is not None and (kept.finished_at is not None or self.clock() < until):
            return kept
        query = sa.select(_TABLE).where(_TABLE.c.run_id == run_id)
        try:
            with self.engine.connect() as connection:
                row = connection.execute(query).first()
        except SQLAlchemyError as exc:
            if (gone := without_database(exc)) is None:
                raise
            raise gone from exc
        if row is None:
            self.forget(run_id)
            return None
        return self._keep(Entry(*row))

    def open(self, entry: Entry) -> Entry:
        """Add a Run; a Run that is there already stays as it is."""
        known = self.find(entry.run_id)
        if known is not None:
            return known
        with suppress(IntegrityError), self.engine.begin() as connection:
            connection.execute(_TABLE.insert().values(**_row(entry)))
        # Or what another call has added in the same moment.
        return self.find(entry.run_id) or entry

    def forget(self, run_id: str) -> None:
        """Look into the database again for a Run."""
        self._entries.pop(run_id, None)

    def forget_all(self) -> None:
        """Look into the database again for every Run."""
        self._entries.clear()

    def close(self, run_id: str) -> None:
        """Note that a Run has finished; the first time counts."""
        known = self.find(run_id)
        if known is None or known.finished_at is not None:
            return
        # Another process may know better: the first end is the one that counts.
        first = _TABLE.update().where(_TABLE.c.run_id == run_id, _TABLE.c.finished_at.is_(None))
        with self.engine.begin() as connection:
            connection.execute(first.values(finished_at=int(self.clock())))
        self.forget(run_id)

    def active(self, namespace: str) -> list[Entry]:
        """List the unfinished Runs of a namespace."""
        query = sa.select(_TABLE).where(
            _TABLE.c.namespace == namespace, _TABLE.c.finished_at.is_(None)
        )
        with self.engine.connect() as connection:
            return [Entry(*row) for row in connection.execute(query)]

    def identify(self, claim: RunClaim) -> RunIdentity:
        """Tell which Run a verified run token speaks for.

        Raises:
            Unauthenticated: the Run is unknown, or finished longer ago than the grace time.
            Forbidden: the Run is of another namespace than the token says.
        """
        entry = self.find(claim.run_id)
        if entry is None:
            raise Unauthenticated(f"Run {claim.namespace}/{claim.name} is not recorded here")
        if entry.namespace != claim.namespace:
            raise Forbidden(f"Run {claim.run_id} is not in namespace {claim.namespace}")
        closed = entry.finished_at
        if closed is not None and self.clock() > closed + TOKEN_GRACE_SECONDS:
            raise Unauthenticated(f"Run {claim.namespace}/{claim.name} has finished; its token too")
        return RunIdentity(entry.run_id, entry.namespace, entry.name, entry.experiment_id)

    def _keep(self, entry: Entry) -> Entry:
        if len(self._entries) > 50_000:
            self._entries.clear()
        self._entries[entry.run_id] = (entry, self.clock() + KNOWN_SECONDS)
        return entry


def _row(entry: Entry) -> dict[str, object]:
    return {
        "run_id": entry.run_id,
        "namespace": entry.namespace,
        "name": entry.name,
        "experiment_id": entry.experiment_id,
        "finished_at": entry.finished_at,
    }
