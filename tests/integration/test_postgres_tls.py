"""Extras of a `postgres` connection keep their promise against a real Postgres, with TLS and without."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from certificates import Authority
from recording_proxy import recording_proxy
from servers import Missing, Postgres, served

from airflow_wall.connections.databases import sql_engine
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.job import Run, Slice
from airflow_wall.publish.database import Database
from airflow_wall.sources.backends import open_source
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.sources.sql_table import OpenSqlTable

pytestmark = pytest.mark.integration

ACCESS = """\
hostssl all badge 127.0.0.1/32 cert
host all clear 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
"""

CLEAR = secrets.token_hex(12)
TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@dataclass(frozen=True)
class Lab:
    """
    :param info: The connection of a server with TLS, without extras.
    :param right: The authority that its certificate is from.
    :param wrong: Another one.
    :param badge: Certificate and key of the user `badge`.
    """

    info: ConnectionInfo
    right: Path
    wrong: Path
    badge: tuple[Path, Path]

    def with_extra(self, **extra: Any) -> ConnectionInfo:
        return replace(self.info, extra=extra)

    def clear(self, port: int, **extra: Any) -> ConnectionInfo:
        """A connection of the user whose password Postgres asks for in clear."""
        return replace(self.info, login="clear", password=CLEAR, port=port, extra=extra)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        right, wrong = Authority(folder, "right"), Authority(folder, "wrong")
        badge = right.issue("badge")
        try:
            server = stack.enter_context(served(Postgres))
        except Missing as error:
            pytest.skip(str(error))
        with server.open() as database:
            database.execute(f"create role clear login password '{CLEAR}'")
            database.execute("create role badge login")
            database.execute("create table orders as select 1 as id, 10 as value")
            database.execute("grant select on orders to clear")
        server.stop()
        server.use_tls(*right.issue("server", "127.0.0.1"), right.certificate, ACCESS)
        server.start()
        yield Lab(server.connection, right.certificate, wrong.certificate, badge)


def asked(connection: ConnectionInfo, query: str, folder: Path) -> Any:
    engine = sql_engine(connection, project=folder)
    try:
        with engine.connect() as database:
            return database.scalar(sqlalchemy.text(query))
    finally:
        engine.dispose()


def test_verify_full_works_with_the_right_authority(lab: Lab, tmp_path: Path) -> None:
    assert asked(lab.with_extra(sslmode="verify-full", sslrootcert=str(lab.right)), TLS, tmp_path) is True
    assert asked(lab.with_extra(extra__postgres__sslmode="disable"), TLS, tmp_path) is False


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"sslmode": "verify-full", "sslrootcert": "{wrong}"}, "certificate verify failed"),
        ({"sslmode": "verify-ca", "sslrootcert": "{wrong}"}, "certificate verify failed"),
        ({"sslmode": "verify-full", "sslrootcert": "{right}", "host": "localhost"}, "does not match host name"),
        ({"sqlalchemy_query": {"sslmode": "verify-full", "sslrootcert": "{wrong}"}}, "certificate verify failed"),
        ({"sslmode": "require", "ssl_min_protocol_version": "TLSv1.4"}, "TLSv1.4"),
        ({"sslmode": "none"}, "invalid sslmode"),
    ],
)
def test_what_a_connection_demands_is_not_given_up(
    lab: Lab, tmp_path: Path, extra: dict[str, Any], reason: str
) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: fill(part) for name, part in value.items()}
        return value.format(right=lab.right, wrong=lab.wrong)

    with pytest.raises(ConnectionFault, match=reason):
        sql_engine(lab.with_extra(**fill(extra)), project=tmp_path)


def test_require_fails_where_the_server_has_no_tls(postgres: ConnectionInfo, tmp_path: Path) -> None:
    with pytest.raises(ConnectionFault, match="server does not support SSL"):
        sql_engine(replace(postgres, extra={"sslmode": "require"}), project=tmp_path)


def test_certificate_of_a_client_logs_in(lab: Lab, tmp_path: Path) -> None:
    certificate, key = (str(file) for file in lab.badge)
    badge = replace(lab.with_extra(sslmode="require"), login="badge", password=None)
    with_it = replace(badge, extra={"sslmode": "require", "sslcert": certificate, "sslkey": key})
    assert asked(with_it, "select current_user", tmp_path) == "badge"
    with pytest.raises(ConnectionFault, match="requires a valid client certificate"):
        sql_engine(replace(badge, extra={**badge.extra, "sslcertmode": "disable"}), project=tmp_path)


def test_other_parameters_of_libpq_reach_the_server(lab: Lab, tmp_path: Path) -> None:
    given = lab.with_extra(application_name="wall", options="-c statement_timeout=4321", keepalives=True)
    assert asked(given, "select current_setting('application_name')", tmp_path) == "wall"
    assert asked(given, "show statement_timeout", tmp_path) == "4321ms"


def run_of(folder: Path) -> Run:
    part = Slice("20130705T000000Z", "2013-07-05T00:00:00+00:00")
    return Run("p", "run-5", "read", 1, part, folder / "lake", folder, folder)


def opened_as_source(connection: ConnectionInfo, folder: Path) -> None:
    opened = open_source("sql://platform/orders", SourceSite(run_of(folder), lambda _: connection), {})
    assert isinstance(opened, OpenSqlTable)
    opened.engine.dispose()


def opened_as_target(connection: ConnectionInfo, folder: Path) -> None:
    Database(connection, project=folder, owner="r").close()


@pytest.mark.parametrize("use", [opened_as_source, opened_as_target])
def test_no_password_passes_in_clear(lab: Lab, tmp_path: Path, use: Any) -> None:
    assert lab.info.port is not None
    with recording_proxy(lab.info.port) as recording:
        use(lab.clear(recording.port, sslmode="verify-full", sslrootcert=str(lab.right)), tmp_path)
        with pytest.raises(ConnectionFault) as error:
            use(lab.clear(recording.port, sslmode="verify-full", sslrootcert=str(lab.wrong)), tmp_path)
        assert len(recording.seen) > 1000
        assert CLEAR.encode() not in recording.seen
        assert CLEAR not in str(error.value)
        # The control: without TLS, the same server is sent the password as it is.
        use(lab.clear(recording.port, sslmode="disable"), tmp_path)
        assert CLEAR.encode() in recording.seen
