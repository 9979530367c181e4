"""Run one DAG and fail unless it succeeds: `python run_test.py DAG_ID SECONDS`."""

import subprocess
import sys
import time

from airflow import settings
from sqlalchemy import text

dag_id, seconds = sys.argv[1], int(sys.argv[2])
deadline = time.monotonic() + seconds
run_id = f"helm-test-{time.time_ns()}"
settings.configure_orm()


def until(ready, what):
    """Wait; end the test where it takes too long."""
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(3)


def asked(query):
    """The first column of the one row, or None."""
    with settings.engine.connect() as database:
        return database.execute(text(query), {"dag_id": dag_id, "run_id": run_id}).scalar_one_or_none()


def airflow(*command):
    """Return True if an `airflow` command succeeds; print its last line if it does not."""
    done = subprocess.run(["airflow", *command], capture_output=True, text=True)
    if done.returncode:
        print(f"airflow {' '.join(command)}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}", flush=True)
    return not done.returncode


def state():
    """The run's state."""
    return asked("SELECT state FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id")


until(lambda: asked("SELECT NOT is_stale FROM dag WHERE dag_id = :dag_id"), f"{dag_id} is not in Airflow")
print(f"{dag_id} is a DAG", flush=True)
until(lambda: airflow("dags", "unpause", "--yes", dag_id), f"{dag_id} cannot be unpaused")
until(lambda: airflow("dags", "trigger", dag_id, "--run-id", run_id), f"{dag_id} cannot be triggered")
print(f"{run_id} is triggered", flush=True)
until(lambda: state() in ("success", "failed"), f"{run_id} has not ended")
print(f"{run_id}: {state()}")
sys.exit(state() != "success")
