"""The chart's backup, run on a real Postgres: a dump is whole, and the oldest ones go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_server import connected, new_database

from airflow_wall.connections.info import ConnectionInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))
from rendering import Rendered

pytestmark = pytest.mark.integration


def backup(url: str, folder: Path, *database: str) -> subprocess.CompletedProcess[str]:
    """Run the CronJob's container once; `database` is host, port and name of a database behind PgBouncer."""
    values = ["--set", "backup.enabled=true,backup.existingClaim=b,backup.keep=2"]
    if database:
        host, port, name = database
        values += ["--set", f"pgbouncer.enabled=true,pgbouncer.host={host},pgbouncer.port={port}"]
        values += ["--set", f"pgbouncer.database={name}"]
    (container,) = Rendered(*values).pods()["backup"]["spec"]["containers"]
    given = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    environment = {**os.environ, **given, "CONNECTION": url, "FOLDER": str(folder)}
    return subprocess.run(container["command"], env=environment, capture_output=True, text=True)


def test_the_latest_dumps_are_kept_and_are_whole(postgres: ConnectionInfo, tmp_path: Path) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("`pg_dump` is not installed (Debian: `apt install postgresql-client`)")
    url = new_database(postgres, "kept")
    with connected(postgres, "kept") as database:
        database.execute("CREATE TABLE dag AS SELECT 'scores' AS dag_id")
    for day in (1, 2, 3):
        (tmp_path / f"airflow-2020010{day}T000000Z.dump").touch()
    (tmp_path / "airflow-20200104T000000Z.dump.part").touch()
    done = backup(url, tmp_path)
    assert done.returncode == 0, done.stderr
    old, fresh = sorted(path.name for path in tmp_path.iterdir())
    assert old == "airflow-20200103T000000Z.dump"
    listed = subprocess.run(
        ["pg_restore", "--list", tmp_path / fresh], capture_output=True, text=True, check=True
    ).stdout
    assert "TABLE DATA public dag" in listed
    assert postgres.password not in done.stdout + done.stderr


@pytest.mark.parametrize("options", ["", "?sslmode=prefer&application_name=a%40b"])
def test_a_dump_is_of_the_database_behind_pgbouncer(postgres: ConnectionInfo, tmp_path: Path, options: str) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("`pg_dump` is not installed (Debian: `apt install postgresql-client`)")
    name = f"behind_{len(options)}"
    new_database(postgres, name)
    login = f"{postgres.login}:{postgres.password}"
    url = f"postgresql+psycopg://{login}@nowhere.invalid:6543/pooled{options}"
    done = backup(url, tmp_path, str(postgres.host), str(postgres.port), name)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.dump"))) == 1


def test_a_dump_that_fails_leaves_the_others(postgres: ConnectionInfo, tmp_path: Path) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("`pg_dump` is not installed (Debian: `apt install postgresql-client`)")
    (tmp_path / "airflow-20200101T000000Z.dump").touch()
    url = f"postgresql+psycopg://{postgres.login}:{postgres.password}@{postgres.host}:{postgres.port}/none"
    assert backup(url, tmp_path).returncode != 0
    assert [path.name for path in tmp_path.glob("*.dump")] == ["airflow-20200101T000000Z.dump"]
