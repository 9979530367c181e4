"""The embedded SQL engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from airflow_wall.engines.duckdb.connection import connect, describe_other_statements, seal


def test_a_cluster_bounds_threads_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_WALL_THREADS", "1")
    monkeypatch.setenv("AIRFLOW_WALL_MEMORY", "64MB")
    found = connect().execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    assert found == (1, "61.0 MiB")


OUTSIDE = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '/etc/hostname'",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_text('.tmp/left')",
    "SELECT getenv('HOME')",
    "FROM secret",
    "ATTACH 'x.db'",
    "COPY (SELECT 1) TO 'x.csv'",
    "COPY (SELECT 1) TO '.tmp/x.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE SECRET s (TYPE s3)",
    "SET enable_external_access = true",
    "SET temp_directory = '/tmp'",
    "SELECT * FROM query('COPY (SELECT 1) TO ''x.csv''')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_a_sealed_query_reaches_nothing_outside(sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "left").write_text("left by another query")
    secret = pa.table({"a": [1]})  # a variable of the caller is no table
    with connect() as database:
        seal(database)
        with pytest.raises(duckdb.Error):
            database.sql(sql).fetchall()
    assert [path.name for path in tmp_path.rglob("*")] == [".tmp", "left"]
    assert secret.num_rows == 1


def test_a_sealed_query_larger_than_memory_overflows_into_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_WALL_MEMORY", "64MB")
    monkeypatch.setenv("AIRFLOW_WALL_THREADS", "1")
    with connect() as database:
        seal(database)
        relation = database.sql("SELECT count(*) FROM (SELECT DISTINCT range, hash(range) FROM range(3000000))")
        assert relation.fetchall() == [(3_000_000,)]
        (folder,) = tmp_path.iterdir()
        assert folder.name.startswith("airflow-wall-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("SELECT 1", None),
        ("WITH a AS (SELECT 1) SELECT * FROM a -- ; DROP TABLE a", None),
        ("SELECT 1; SELECT 2", "`SELECT`, `SELECT`"),
        ("SELECT 1; COPY (SELECT 1) TO 'x'", "`SELECT`, `COPY`"),
        ("", "nothing"),
    ],
)
def test_one_query_is_distinguished_from_other_statements(sql: str, other: str | None) -> None:
    with connect() as database:
        assert describe_other_statements(database, sql) == other
