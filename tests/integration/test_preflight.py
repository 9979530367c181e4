"""Each secret and address of a deployment is tried, against real servers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from airflow_server import new_database
from cryptography.fernet import Fernet

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.deployment.preflight import faults

pytestmark = pytest.mark.integration

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BROKER = "AIRFLOW__CELERY__BROKER_URL"
RESULTS = "AIRFLOW__CELERY__RESULT_BACKEND"
FERNET = "AIRFLOW__CORE__FERNET_KEY"
JWT = "AIRFLOW__API_AUTH__JWT_SECRET"
SECRET = "hunter2-is-a-password"


def test_right_secrets_have_no_fault(postgres: ConnectionInfo, redis: str) -> None:
    database = new_database(postgres, "preflight")
    given = {
        DATABASE: database,
        BROKER: redis,
        RESULTS: f"db+{database}",
        FERNET: ",".join(Fernet.generate_key().decode() for _ in range(2)),
        JWT: "0123456789abcdef" * 2,
    }
    done = subprocess.run(
        [sys.executable, "-m", "airflow_wall.deployment.preflight"],
        env={**os.environ, **given}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "all secrets and addresses are fine\n", "")


def test_each_fault_is_one_line_without_a_secret(postgres: ConnectionInfo, redis: str) -> None:
    address = f"{postgres.host}:{postgres.port}"
    given = {
        DATABASE: f"postgresql+psycopg://nobody:{SECRET}@{address}/none",
        BROKER: f"redis://:{SECRET}@127.0.0.1:1/0",
        RESULTS: f"rediss://:{SECRET}@127.0.0.1:1/0",
        FERNET: SECRET,
        JWT: "short",
    }
    done = subprocess.run(
        [sys.executable, "-m", "airflow_wall.deployment.preflight"],
        env={**os.environ, **given}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(" (")[0].partition(": ")[2].partition(":")[0] for line in lines] == [
        "[database] sql_alchemy_conn", "[celery] broker_url", "[celery] result_backend", "[core] fernet_key",
        "[api_auth] jwt_secret",
    ]  # fmt: skip
    assert f"(postgresql+psycopg://{address})" in lines[0]
    assert "ssl_cert_reqs=required" in lines[2]
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "the secret is empty"),
        ("0123456789abcdef\n", "begins or ends with a space or a line break"),
        ('"0123456789abcdef"', "has quotes around it"),
        ("0123456789abcde", "has 15 characters"),
    ],
)
def test_text_around_a_secret_is_reported(value: str, fault: str) -> None:
    (line,) = faults({JWT: value})
    assert fault in line


def test_what_is_not_set_is_not_checked() -> None:
    assert list(faults({})) == []
