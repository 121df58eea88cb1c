"""An empty database for tests: SQLite, or one of the PostgreSQL that an environment names."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from trainyard_tracking.settings import database_url

SERVER = "TRAINYARD_TEST_DATABASE"


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """Give the URL of a database that is gone afterwards."""
    server = os.environ.get(SERVER)
    if not server:
        yield f"sqlite:///{folder}/mlflow.db"
        return
    url, name = sa.make_url(database_url(server)), f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def keep_writers_out(url: str) -> Callable[[], None]:
    """Lock the database for whoever writes into it, as a long transaction does; give the key."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    connection = engine.connect()
    if engine.dialect.name == "sqlite":
        connection.execute(sa.text("BEGIN IMMEDIATE"))
    else:
        tables = ", ".join(sa.inspect(connection).get_table_names())
        connection.execute(sa.text("BEGIN"))
        connection.execute(sa.text(f"LOCK TABLE {tables} IN EXCLUSIVE MODE"))

    def unlock() -> None:
        connection.close()
        engine.dispose()

    return unlock
