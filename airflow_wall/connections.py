"""What a backend needs of an Airflow connection, without Airflow: so that it can travel to where the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

FILE_VARIABLE = "AIRFLOW_WALL_CONNECTIONS"
"""Variable in which `airflow-wall run` names its file of connections, there or not."""


@dataclass(frozen=True)
class ConnectionInfo:
    """
    One Airflow connection, as plain values.

    :param conn_id: Name of the connection, as the YAML writes it.
    :param conn_type: Airflow's connection type, e.g. `sqlite`, `postgres`, `http`.
    :param schema: Airflow's "schema" field: for SQL types the database.
    """

    conn_id: str
    conn_type: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Connections(Protocol):
    """Gives a connection by its id. Raises ConnectionFault that says where it looked."""

    def __call__(self, conn_id: str, /) -> ConnectionInfo:
        """The connection of that id."""
