"""
One SQL database of a release: its transactions, its errors, and the table of pointers.

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

from airflow_wall.connections.databases import TARGET_TYPES, shown_url, sql_engine
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError, Interrupted, ReleaseError, WallError

BUSY_SECONDS = 30
"""Seconds that SQLite waits for another writer."""

_DDL_LOCK = 0x77616C6C  # key of the advisory lock for creating tables in Postgres: "wall" in ASCII

POINTERS = sa.Table(
    "wall_releases",
    sa.MetaData(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("table", sa.Text, primary_key=True),
    sa.Column("release", sa.Text),
)
"""The owner of each published table, and the version that clients see (null: none)."""


class Database:
    """
    The database of a connection, and the `PointerStore` of its tables and indexes.

    :param owner: Name of the release that writes here.
    :raises ConnectionFault: it does not answer, or is not a database.
    """

    reversible = True

    def __init__(self, connection: ConnectionInfo, *, project: Path, owner: str) -> None:
        self.conn_id = connection.conn_id
        self._connection = connection
        self.owner = owner
        self.engine = _engine(connection, project)
        self.dialect = self.engine.dialect
        self._driver: Any = self.dialect.loaded_dbapi

    def prepare(self) -> None:
        """Create the table of pointers, and let readers work without waiting for writers."""
        if self.dialect.name == "sqlite":
            with self._translate_errors(), self.engine.connect() as database:
                _write_ahead(database)
        with self.define() as database:
            POINTERS.create(database, checkfirst=True)

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()

    def shown(self, pointer: str) -> str | None:
        """Return the version that readers of `pointer` see, or None."""
        with self.read() as database:
            return shown(database, pointer)

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Move all pointers in one transaction."""
        with self.write() as database:
            for pointer, version in moves.items():
                result = database.execute(
                    sa.update(POINTERS)
                    .where(POINTERS.c.table == pointer, POINTERS.c.name == self.owner)
                    .values(release=version)
                )
                if result.rowcount != 1:
                    raise ReleaseError(
                        f"`{pointer}` in connection `{self.conn_id}` is no longer owned by release `{self.owner}`",
                        hint=f"check the table `{POINTERS.name}` of that database",
                    )

    def owns(self, database: sa.Connection, pointer: str) -> bool:
        """Return True if this release has claimed `pointer`. A document in the lake may name a pointer of another."""
        return _owner_of(database, pointer) == self.owner

    def claim(self, database: sa.Connection, pointer: str) -> None:
        """Make the release the owner of `pointer`. Call it inside `define`."""
        owner = _owner_of(database, pointer)
        if owner is None:
            database.execute(sa.insert(POINTERS).values(name=self.owner, table=pointer, release=None))
        elif owner != self.owner:
            raise ReleaseError(
                f"`to`: `{pointer}` in connection `{self.conn_id}` belongs to the release `{owner}`, "
                f"not to `{self.owner}`",
                hint="use another table in `to`, or stage into that release",
            )

    def purge(self) -> None:
        """Overwrite deleted rows in the file of SQLite. A server does so by itself."""
        if self.dialect.name == "sqlite":
            with self._translate_errors(), self.engine.connect() as database:
                connection = database.connection.driver_connection
                assert connection is not None
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one snapshot of the database."""
        with self._translate_errors(), self.engine.connect() as database:
            if self.dialect.name == "postgresql":
                database.execution_options(isolation_level="REPEATABLE READ")
            with database.begin():
                yield database

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that changes rows. On SQLite it waits for other writers before its first read."""
        with self._translate_errors(), self.engine.connect() as database:
            database.execution_options(wall_write=True)
            with database.begin():
                yield database

    @contextlib.contextmanager
    def define(self) -> Iterator[sa.Connection]:
        """Open a transaction that may create or change tables; only one process at a time has one."""
        with self.write() as database:
            if self.dialect.name == "postgresql":
                database.execute(sa.select(sa.func.pg_advisory_xact_lock(_DDL_LOCK)))
            yield database

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except WallError:
            raise
        except (sa.exc.SQLAlchemyError, OverflowError, self._driver.Error) as error:
            raise self._translate_error(error) from error

    def _translate_error(self, error: Exception) -> WallError:
        original = getattr(error, "orig", None) or error
        reason = self._connection.hide(" ".join(str(original).split()))
        where = f"connection `{self.conn_id}` ({shown_url(self.engine.url)})"
        state = getattr(original, "sqlstate", None) or ""
        if "database is locked" in reason or state.startswith("40"):
            return Interrupted(f"{where} is busy with another writer: {reason}")
        by_driver = (self._driver.DataError, self._driver.IntegrityError)  # of a bulk load
        if isinstance(error, (sa.exc.DataError, sa.exc.IntegrityError, OverflowError, *by_driver)) or (
            isinstance(error, sa.exc.StatementError) and not isinstance(error, sa.exc.DBAPIError)
        ):
            return DataError(f"{where} refused the rows: {reason}", hint="correct the column in the transform")
        return ConnectionFault(
            f"{where} failed: {reason}",
            hint=f"correct the connection or the database: `airflow connections get {self.conn_id}` shows it",
        )


def shown(database: sa.Connection, pointer: str) -> str | None:
    """Return the version that `pointer` names, within a transaction; None if nothing was ever published."""
    if not sa.inspect(database).has_table(POINTERS.name):
        return None
    version: str | None = database.scalar(sa.select(POINTERS.c.release).where(POINTERS.c.table == pointer))
    return version


def _owner_of(database: sa.Connection, pointer: str) -> str | None:
    if not sa.inspect(database).has_table(POINTERS.name):
        return None
    name: str | None = database.scalar(sa.select(POINTERS.c.name).where(POINTERS.c.table == pointer))
    return name


def _engine(connection: ConnectionInfo, project: Path) -> sa.Engine:
    engine = sql_engine(connection, project=project, keep_open=True, types=TARGET_TYPES)
    if engine.dialect.name == "sqlite":
        engine.dispose()  # the connection that tested the database lacks the settings below
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # by default sqlite3 commits before DDL, and begins a transaction only at the first write
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _begin_sqlite(database: sa.Connection) -> None:
    write = database.get_execution_options().get("wall_write", False)
    database.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _write_ahead(database: sa.Connection) -> None:
    """Let readers continue while a part is written. SQLite does not wait for the lock of this statement, so we do."""
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
