"""
A run says at once which extra its steps need.

Waits for: a new process for each command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLES = """\
dag_id: p
tasks:
  - {id: i, uses: ingest, with: {source: landing, target: bronze/a}}
  - {id: t, needs: i, uses: transform, with: {inputs: {a: bronze/a}, sql: select * from a, target: silver/a}}
"""
SPARK = "dag_id: p\ntasks:\n  - {id: s, uses: start_cluster, with: {cluster: {type: spark}}}\n  - {id: e, needs: s, uses: stop_cluster}\n"


@pytest.mark.parametrize(
    ("text", "absent", "message"),
    [
        (TABLES, ["duckdb"], "`i`, `t` need `duckdb`, which is not installed here\n\nhint: run `pip install 'airflow-wall[local]'`"),
        (TABLES, ["duckdb", "pyarrow"], "`i`, `t` need `duckdb`, `pyarrow`, not installed here"),
        (SPARK, ["pyspark"], "`s` needs `pyspark`, which is not installed here\n\nhint: run `pip install 'airflow-wall[spark]'`"),
    ],
)  # fmt: skip
def test_run_names_the_extra_before_it_begins(text: str, absent: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); sys.argv = ['airflow-wall', 'run', 'p.yaml']\n"
        "from airflow_wall.cli.main import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: {message}")
    assert not (tmp_path / ".airflow").exists()
