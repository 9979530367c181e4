"""The table of publishing backends, and the targets one call works with."""

from __future__ import annotations

import importlib
from types import TracebackType
from typing import Any, cast

from airflow_wall.databases import SQL_TYPES
from airflow_wall.errors import ConnectionFault
from airflow_wall.publish.address import Address, parse
from airflow_wall.publish.base import Site, Target
from airflow_wall.publish.database import Database

BACKENDS = {
    ("files", None): "airflow_wall.publish.files:FilesTarget",
    ("webhook", None): "airflow_wall.publish.webhook:WebhookTarget",
    ("sql", "sqlite"): "airflow_wall.publish.sql:SqlTarget",
    ("sql", "postgres"): "airflow_wall.publish.sql:SqlTarget",
    ("search", "sqlite"): "airflow_wall.publish.search_sqlite:SqliteIndex",
    ("search", "postgres"): "airflow_wall.publish.search_postgres:PostgresIndex",
}
"""Class of a target by scheme and, where its place is a database, connection type."""


class Targets:
    """
    Opens targets by their `to`; two of one connection share its database, so their pointers move together.

    A context manager: leaving it closes the databases.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._databases: dict[str, Database] = {}
        self._targets: dict[str, Target] = {}

    def __enter__(self) -> Targets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for database in self._databases.values():
            database.close()

    def open(self, to: str) -> Target:
        """
        Return the target of `to`.

        :raises ReleaseError: `to` is not understood.
        :raises ConnectionFault: its connection is missing, of another type, or refused.
        """
        if to not in self._targets:
            address = parse(to)
            self._targets[to] = self._with_database(address) if _has_database(address) else self._alone(address)
        return self._targets[to]

    def _alone(self, address: Address) -> Target:
        return cast("Target", _load(BACKENDS[address.scheme, None])(address, self._site))

    def _with_database(self, address: Address) -> Target:
        connection = self._site.connections(address.conn_id)
        backend = BACKENDS.get((address.scheme, connection.conn_type))
        if backend is None:
            raise ConnectionFault(
                f"`to`: `{address.to}`: connection `{address.conn_id}` has type `{connection.conn_type}`",
                hint=f"name a connection of type {' or '.join(f'`{name}`' for name in SQL_TYPES)}",
            )
        if address.conn_id not in self._databases:
            opened = Database(connection, project=self._site.project, owner=self._site.name)
            self._databases[address.conn_id] = opened
            opened.prepare()
        return cast("Target", _load(backend)(address, self._databases[address.conn_id]))


def _has_database(address: Address) -> bool:
    return (address.scheme, None) not in BACKENDS


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
