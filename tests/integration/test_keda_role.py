"""The role with which KEDA reads the metadata database, on a real Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from airflow_wall.connections.info import ConnectionInfo

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "deploy/aws/kubernetes/keda_role.py"


def test_role_of_keda_is_created_and_gets_its_new_password(postgres: ConnectionInfo) -> None:
    url = f"postgresql://{postgres.login}:{postgres.password}@{postgres.host}:{postgres.port}/{postgres.schema}"
    for password in ("first'one", "second"):
        environment = {**os.environ, "DATABASE": url.replace("postgresql", "postgresql+psycopg"), "PASSWORD": password}
        subprocess.run([sys.executable, SCRIPT], env=environment, check=True, timeout=60)
        with psycopg.connect(
            host=postgres.host, port=postgres.port, dbname=postgres.schema, user="airflow_keda", password=password
        ) as database:
            assert database.execute("SELECT current_user").fetchone() == ("airflow_keda",)
