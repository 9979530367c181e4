"""
One SQL database of a release: its transactions, its faults, and the table of pointers.

`wall_releases` holds a row per published table (`scores`) and index (`search:scores`): which release name owns it and
which version clients see. All pointers of a database move in one transaction.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from airflow_wall.connections import ConnectionInfo
from airflow_wall.databases import sql_engine
from airflow_wall.errors import ConnectionFault, DataError, Interrupted, ReleaseError, WallError

BUSY_SECONDS = 30
"""How long SQLite waits for another writer."""

_DDL_LOCK = 0x77616C6C  # key of the advisory lock under which Postgres tables are made; the letters "wall"

POINTERS = sa.Table(
    "wall_releases",
    sa.MetaData(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("table", sa.Text, primary_key=True),
    sa.Column("release", sa.Text),
)
"""Who owns each published table, and which version of it clients see (null: none)."""


class Database:
    """
    A database that a connection names; the `Place` of its tables and indexes.

    :param owner: Name of the release that writes here.
    :raises ConnectionFault: it does not answer, or is no database.
    """

    reversible = True

    def __init__(self, connection: ConnectionInfo, *, project: Path, owner: str) -> None:
        self.conn_id = connection.conn_id
        self.owner = owner
        self.engine = _engine(connection, project)
        self.dialect = self.engine.dialect

    def prepare(self) -> None:
        """Have the table of pointers, and readers that need not wait for writers."""
        if self.dialect.name == "sqlite":
            with self._faults(), self.engine.connect() as database:
                _write_ahead(database)
        with self.define() as database:
            POINTERS.create(database, checkfirst=True)

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()

    def shown(self, pointer: str) -> str | None:
        """The version that readers of `pointer` see, or None."""
        with self.read() as database:
            return shown(database, pointer)

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Move all pointers in one transaction."""
        with self.write() as database:
            for pointer, version in moves.items():
                found = database.execute(
                    sa.update(POINTERS)
                    .where(POINTERS.c.table == pointer, POINTERS.c.name == self.owner)
                    .values(release=version)
                )
                if found.rowcount != 1:
                    raise ReleaseError(
                        f"`{pointer}` in connection `{self.conn_id}` is no longer owned by release `{self.owner}`",
                        hint=f"see the table `{POINTERS.name}` of that database",
                    )

    def claim(self, database: sa.Connection, pointer: str) -> None:
        """Have the release own `pointer`. Inside `define`."""
        owner = database.scalar(sa.select(POINTERS.c.name).where(POINTERS.c.table == pointer))
        if owner is None:
            database.execute(sa.insert(POINTERS).values(name=self.owner, table=pointer, release=None))
        elif owner != self.owner:
            raise ReleaseError(
                f"`to`: `{pointer}` in connection `{self.conn_id}` belongs to the release `{owner}`, "
                f"not to `{self.owner}`",
                hint="name another table in `to`, or stage into that release",
            )

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One transaction that sees one state of the database."""
        with self._faults(), self.engine.connect() as database:
            if self.dialect.name == "postgresql":
                database.execution_options(isolation_level="REPEATABLE READ")
            with database.begin():
                yield database

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that changes rows; on SQLite it waits its turn before it reads anything."""
        with self._faults(), self.engine.connect() as database:
            database.execution_options(wall_write=True)
            with database.begin():
                yield database

    @contextlib.contextmanager
    def define(self) -> Iterator[sa.Connection]:
        """One transaction that may make or change tables; one process at a time."""
        with self.write() as database:
            if self.dialect.name == "postgresql":
                database.execute(sa.select(sa.func.pg_advisory_xact_lock(_DDL_LOCK)))
            yield database

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except WallError:
            raise
        except (sa.exc.SQLAlchemyError, OverflowError) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> WallError:
        original = getattr(error, "orig", None) or error
        reason = " ".join(str(original).split())
        where = f"connection `{self.conn_id}` ({self.engine.url.render_as_string(hide_password=True)})"
        state = getattr(original, "sqlstate", None) or ""
        if "database is locked" in reason or state.startswith("40"):
            return Interrupted(f"{where} is busy with another writer: {reason}")
        if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError | OverflowError) or (
            isinstance(error, sa.exc.StatementError) and not isinstance(error, sa.exc.DBAPIError)
        ):
            return DataError(f"{where} refused the rows: {reason}", hint="mend the column in the transform")
        return ConnectionFault(
            f"{where} failed: {reason}",
            hint=f"mend the connection or the database: `airflow connections get {self.conn_id}` shows it",
        )


def shown(database: sa.Connection, pointer: str) -> str | None:
    """The version that `pointer` names, within a transaction; None where nothing was ever published."""
    if not sa.inspect(database).has_table(POINTERS.name):
        return None
    version: str | None = database.scalar(sa.select(POINTERS.c.release).where(POINTERS.c.table == pointer))
    return version


def _engine(connection: ConnectionInfo, project: Path) -> sa.Engine:
    engine = sql_engine(connection, project=project)
    if engine.dialect.name == "sqlite":
        engine.dispose()  # the connection that answered has not been prepared
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 would commit before DDL and begin only at the first write
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _begin_sqlite(database: sa.Connection) -> None:
    write = database.get_execution_options().get("wall_write", False)
    database.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _write_ahead(database: sa.Connection) -> None:
    """Let readers go on while a part is written. SQLite does not wait for the lock that this takes, so we do."""
    connection = database.connection.driver_connection
    assert connection is not None
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise sa.exc.OperationalError("PRAGMA journal_mode = WAL", None, error) from error
            time.sleep(0.02)
        except connection.DatabaseError as error:
            raise sa.exc.DatabaseError("PRAGMA journal_mode = WAL", None, error) from error
        else:
            return
