"""
Health checks of components without a port, against a real Postgres and a real Celery worker.

Waits for: a Celery worker that starts, and one that does not answer.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from airflow_server import connected, new_database

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.deployment.probe import UNLESS_BROKER_AWAY

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JOB = "create table job (job_type text, hostname text, state text, latest_heartbeat timestamptz)"
"""The columns of Airflow's table that the probe reads; `make e2e-compose` runs it on the real table."""


def probe(component: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_wall.deployment.probe", *component.split()],
        env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


@pytest.fixture(scope="module")
def metadata(postgres: ConnectionInfo) -> str:
    url = new_database(postgres, "probed")
    with connected(postgres, "probed") as database:
        database.execute(JOB)
        database.execute(
            "insert into job values ('DagProcessorJob', %(me)s, 'running', now()), ('TriggererJob', %(me)s, 'running', "
            "now() - interval '2 minutes'), ('SchedulerJob', 'another', 'running', now())",
            {"me": socket.getfqdn()},
        )
    return url


def test_a_component_is_alive_by_its_heartbeat(metadata: str) -> None:
    assert probe("dag-processor", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=metadata) == (0, "")
    # As compose gives it: by a command.
    assert probe("dag-processor", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD=f"bash -c 'echo {metadata}'") == (0, "")


def test_one_that_is_late_is_not(metadata: str) -> None:
    code, output = probe("triggerer", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=metadata)
    assert code == 1
    assert re.fullmatch(
        r"DeploymentError: the last heartbeat of this host's triggerer was 1\d\d s ago, more than 60 s", output
    )


def test_one_of_another_host_says_nothing_of_this(metadata: str) -> None:
    code, output = probe("scheduler", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=metadata)
    me = socket.getfqdn()
    assert (code, output) == (
        1, f"DeploymentError: the metadata database has no running scheduler of this host ({me})",
    )  # fmt: skip


def test_other_database_and_unknown_component_are_reported() -> None:
    code, output = probe("scheduler", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////tmp/airflow.db")
    assert code == 1
    assert "the metadata database is `sqlite`, expected `postgresql`" in output
    assert probe("webserver") == (
        2, "expected one of dag-processor, triggerer, scheduler, worker, got `webserver`",
    )  # fmt: skip


def test_a_worker_is_alive_while_it_answers(redis: str) -> None:
    name = f"celery@{socket.gethostname()}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--broker", redis, "worker", "--hostname", name, "--pool", "solo"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    alive = f"worker {UNLESS_BROKER_AWAY}"
    try:
        end = time.monotonic() + 120
        while (found := probe("worker", AIRFLOW__CELERY__BROKER_URL=redis)) != (0, "") and time.monotonic() < end:
            time.sleep(1)
        assert found == (0, "")
        assert probe(alive, AIRFLOW__CELERY__BROKER_URL=redis) == (0, "")
        worker.send_signal(signal.SIGSTOP)
        assert probe(alive, AIRFLOW__CELERY__BROKER_URL=redis)[0] == 1
    finally:
        worker.kill()
        worker.wait()
    code, output = probe("worker", AIRFLOW__CELERY__BROKER_URL=redis)
    assert (code, output) == (1, f"DeploymentError: worker {name} does not answer through the broker")


def test_a_worker_without_a_broker_is_alive_and_not_ready() -> None:
    nowhere = {"AIRFLOW__CELERY__BROKER_URL": "redis://127.0.0.1:1/0"}
    assert probe(f"worker {UNLESS_BROKER_AWAY}", **nowhere) == (0, "")
    code, output = probe("worker", **nowhere)
    assert code == 1
    assert output.startswith(f"DeploymentError: the broker of worker celery@{socket.gethostname()} does not answer: ")


def test_a_wrong_password_of_the_broker_is_reported(redis: str) -> None:
    scheme, _, address = redis.partition("://")
    wrong = f"{scheme}://:wrong@{address.rpartition('@')[2]}"
    code, output = probe("worker", AIRFLOW__CELERY__BROKER_URL=wrong)
    assert code == 1
    assert "DeploymentError: the broker of worker" in output
    assert "wrong" not in output.replace("wrong number", "")
