"""Run one DAG and fail unless it succeeds: `python run_test.py DAG_ID SECONDS`."""

import json
import subprocess
import sys
import time

dag_id, seconds = sys.argv[1], int(sys.argv[2])
deadline = time.monotonic() + seconds


def airflow(*command):
    """What an `airflow` command prints, or None where it fails."""
    done = subprocess.run(["airflow", *command], capture_output=True, text=True)
    if done.returncode:
        print(f"airflow {' '.join(command)}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}", flush=True)
        return None
    return done.stdout


def until(ready, what):
    """Wait; end the test where it takes too long."""
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(5)


def state():
    """The run's state."""
    runs = json.loads((airflow("dags", "list-runs", dag_id, "--output", "json") or "[]").strip() or "[]")
    return next((run["state"] for run in runs if run["run_id"] == run_id), None)


run_id = f"helm-test-{time.time_ns()}"
until(lambda: airflow("dags", "unpause", "--yes", dag_id) is not None, f"{dag_id} is no DAG")
until(lambda: airflow("dags", "trigger", dag_id, "--run-id", run_id) is not None, f"{dag_id} cannot be triggered")
until(lambda: state() in ("success", "failed"), f"{dag_id} has not ended")
found = state()
print(f"{dag_id} {run_id}: {found}")
sys.exit(found != "success")
