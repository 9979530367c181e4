"""Servers that several tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import MariaDB, Missing, Postgres, Redis, served

from airflow_wall.connections.info import ConnectionInfo


@pytest.fixture(scope="session")
def postgres() -> Iterator[ConnectionInfo]:
    """A Postgres of our own, on a free loopback port."""
    try:
        with served(Postgres) as server:
            yield server.connection
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[ConnectionInfo]:
    """A MariaDB of our own, on a free loopback port."""
    try:
        with served(MariaDB) as server:
            yield server.connection
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """URL of a Redis of our own, on a free loopback port."""
    try:
        with served(Redis) as server:
            yield server.url
    except Missing as error:
        pytest.skip(str(error))
