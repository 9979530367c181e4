from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_wall.connections.info import ConnectionInfo

for suite in ("chart", "integration"):
    sys.path.insert(0, str(Path(__file__).parents[1] / suite))


@pytest.fixture(scope="session")
def postgres() -> Iterator[ConnectionInfo]:
    """A Postgres of our own, on a free loopback port."""
    from servers import Missing, Postgres, served

    try:
        with served(Postgres) as server:
            yield server.connection
    except Missing as error:
        pytest.skip(str(error))
