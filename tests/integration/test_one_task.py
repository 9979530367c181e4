"""
`airflow-wall run --task`: one task, on the terminal.

Waits for: a run of a pipeline, and runs of one of its tasks in a terminal.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from project import COMMAND

pytestmark = pytest.mark.integration

PIPELINE = """
dag_id: shop
start_date: 2024-03-01
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}
  - {id: cluster, uses: start_cluster, needs: load, with: {cluster: {type: local}}}
  - id: fit
    uses: retrain
    needs: [load, cluster]
    with: {cluster: cluster, entrypoint: "shop:train", inputs: {orders: bronze/orders}, model: value}
  - {id: stop, uses: stop_cluster, needs: fit, with: {cluster: cluster}}
  - {id: shell, uses: airflow.providers.standard.operators.bash.BashOperator, with: {bash_command: exit 3}}
"""

TRAIN = """
from sklearn.linear_model import LinearRegression
from airflow_wall import Trained

def train(orders):
    print("training on", len(orders), "rows")
    breakpoint()
    return Trained(LinearRegression().fit(orders[["items"]], orders["value"]), ["items"], "value")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "shop.yaml").write_text(PIPELINE)
    (dags / "shop.py").write_text(TRAIN)
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "1.csv").write_text("items,value\n" + "".join(f"{n},{n * 10}\n" for n in range(30)))
    return tmp_path


def run(folder: Path, *arguments: str, typed: str = "") -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    ran = subprocess.run(
        [COMMAND, "run", "dags/shop.yaml", *arguments],
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_one_task_runs_on_the_terminal(folder: Path) -> None:
    code, text = run(folder, "--task", "fit")
    assert (code, "hint: name a date: `--date 2013-07-01`" in text) == (1, True)
    code, text = run(folder, "--task", "load", "--date", "2024-03-01")
    assert code == 0
    assert "task load of run manual__2024-03-01T00:00:00+00:00: success\n" in text
    code, text = run(folder, "--task", "fit", typed="p orders.shape\nc\n")
    assert code == 0, text
    assert "`fit` runs in this process, not on the cluster of `cluster`" in text
    rows = re.search(r"training on (\d+) rows", text)
    assert rows is not None
    assert f"(Pdb) ({rows[1]}, 2)" in text
    assert "value version 1: rmse" in text

    (folder / "dags" / "shop.py").write_text(TRAIN.replace("breakpoint()", "orders['gone']"))
    code, text = run(folder, "--task", "fit")
    assert code == 1
    assert f"  File \"{folder}/dags/shop.py\", line 7, in train\n    orders['gone']" in text
    assert "airflow_wall/operators" not in text
    code, text = run(folder, "--task", "shell")
    assert code == 1
    assert "Bash command failed" in text

    (folder / "dags" / "shop.py").write_text(TRAIN.replace("breakpoint()", ""))
    (folder / "dags" / "shop.yaml").write_text(PIPELINE.replace("exit 3", "exit 0"))
    code, text = run(folder, "--date", "2024-03-01")  # what has not succeeded yet
    assert code == 0, text
    assert "run manual__2024-03-01T00:00:00+00:00 (resumed): success" in text


def test_a_task_that_does_not_exist_and_options_that_exclude_it_are_refused(folder: Path) -> None:
    code, text = run(folder, "--task", "fits", "--date", "2024-03-01")
    assert (code, "`shop` has no task `fits`" in text, "did you mean `fit`?" in text) == (1, True, True)
    code, text = run(folder, "--task", "fit", "--from", "2024-03-01")
    assert (code, "use it alone or with `--date`" in text) == (2, True)
