"""
Building pipelines from YAML against the same DAGs in hand-written Python, in one run: `make benchmark`.

Interleaved pairs of processes; each builds N copies of the article's 21 tasks after its imports. Reported: the median of the ratios of
CPU seconds. The budget is 1.15; the checks of the gate do not depend on it yet.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

YAML = """\
import gc, sys, time
from pathlib import Path
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings
folder = Path(sys.argv[1])
gc.disable()
start = time.process_time()
dags = load_dags(folder, Settings())
print(time.process_time() - start, len(dags), sum(len(dag.tasks) for dag in dags.values()))
"""

PYTHON = """\
import gc, sys, time
from datetime import datetime
from airflow.sdk import DAG, TaskGroup
from airflow_wall.compiler.steps import OPERATORS as O
N = int(sys.argv[2])
gc.disable()
start = time.process_time()
dags = {}
for number in range(N):
    with DAG(f"scores_{number}", schedule="0 3 * * *", start_date=datetime(2013, 1, 1), default_args={"owner": "analytics", "retries": 2},
             max_active_runs=1) as dag:
        check = O["check_new_data"](task_id="check_new_data", source="landing")
        creds = O["get_credentials"](task_id="get_credentials", conn_id="platform")
        up = O["start_cluster"](task_id="start_cluster", cluster={"type": "local"})
        [check, creds] >> up
        train = O["retrain"](task_id="retrain_on_new_data", cluster="start_cluster", entrypoint="models.scores:train",
                             inputs={"features": "silver/*"}, model="platform_scores", promote={"metric": "rmse", "margin": "1%"})
        for domain in ("domain_1", "domain_2", "domain_3"):
            with TaskGroup(f"etl_{domain}"):
                load = O["ingest"](task_id="ingest", cluster="start_cluster", source=f"landing/{domain}", target=f"bronze/{domain}")
                clean = O["transform"](task_id="normalize_aggregate", cluster="start_cluster", sql="select 1",
                                       inputs={"raw": f"bronze/{domain}"}, target=f"silver/{domain}")
                up >> load >> clean >> train
        predict = O["predict"](task_id="predict", cluster="start_cluster", model="platform_scores", inputs={"features": "silver/*"},
                               target="gold/scores")
        down = O["stop_cluster"](task_id="stop_cluster", cluster="start_cluster")
        verify = O["check_integrity"](task_id="check_integrity", table="gold/scores", checks="checks: []")
        sender = O["start_sender"](task_id="start_sender", release="platform")
        train >> predict >> [down, verify] >> sender
        close = O["stop_sender"](task_id="stop_sender", release="start_sender")
        for domain in ("domain_1", "domain_2", "domain_3"):
            with TaskGroup(f"finalize_{domain}"):
                persist = O["persist"](task_id="persist", release="start_sender", table="gold/scores", to="sql://platform/scores")
                index = O["index"](task_id="index", release="start_sender", table="gold/scores", to="search://platform/scores", key=["hour"])
                sender >> persist >> index >> close
        down.as_teardown(setups=up, on_failure_fail_dagrun=True)
        close.as_teardown(setups=sender, on_failure_fail_dagrun=True)
    dags[dag.dag_id] = dag
print(time.process_time() - start, len(dags), sum(len(dag.tasks) for dag in dags.values()))
"""


def seconds(program: str, folder: Path, count: int) -> float:
    """CPU seconds that one process takes to build `count` DAGs."""
    environment = {**os.environ, "AIRFLOW_HOME": str(folder.parent / "home")}
    command = [sys.executable, "-c", program, str(folder), str(count)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    taken, dags, tasks = answer.stdout.split()[-3:]
    assert (int(dags), int(tasks)) == (count, 21 * count), answer.stdout
    return float(taken)


def main() -> None:
    """Print a line per N."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("counts", type=int, nargs="*", default=[1, 10, 100])
    options = parser.parse_args()
    text = (ROOT / "dags" / "platform_scores.yaml").read_text()
    for count in options.counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "dags"
            (folder / "sql").mkdir(parents=True)
            (folder / "checks").mkdir()
            for file in ("sql/normalize.sql", "checks/scores.yaml"):
                (folder / file).write_text((ROOT / "dags" / file).read_text())
            for number in range(count):
                (folder / f"scores_{number}.yaml").write_text(
                    text.replace("dag_id: platform_scores", f"dag_id: scores_{number}")
                )
            pairs = [(seconds(YAML, folder, count), seconds(PYTHON, folder, count)) for _ in range(options.pairs)]
        ratio = statistics.median(yaml / python for yaml, python in pairs)
        ours, theirs = (statistics.median(side) / count * 1000 for side in zip(*pairs, strict=True))
        print(f"N={count:<5} YAML {ours:6.2f} ms/DAG   Python {theirs:6.2f} ms/DAG   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
