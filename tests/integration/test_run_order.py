"""
Names that templates and mapped tasks give: the order of their tables is checked when the tasks run.

Waits for: four real runs of small tasks.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from wall_command import airflow_wall

pytestmark = pytest.mark.integration

PIPELINE = """\
dag_id: p
schedule: "@daily"
start_date: 2026-01-01
storage: ./lake
default_args: {retries: 0}
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: {$t: "bronze/{{ dag.dag_id }}"}}}
  - {id: names, uses: ingest, with: {source: landing, target: silver/names}}
  - id: clean
    uses: transform
    needs: [names, load]
    with: {sql: select * from raw, inputs: {raw: {$t: "bronze/{{ dag.dag_id }}"}}, target: silver/clean}
  - id: several
    uses: transform
    needs: [clean, names]
    with: {sql: select * from raw, target: silver/several, share: true}
    expand: {inputs: [{raw: bronze/p}, {raw: silver/names}]}
"""


def test_task_whose_table_is_known_only_when_it_runs_waits_for_the_writer(tmp_path: Path) -> None:
    (tmp_path / "lake/landing").mkdir(parents=True)
    (tmp_path / "lake/landing/a.csv").write_text("id\n1\n")
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(PIPELINE)
    airflow_wall(tmp_path, "run", "p.yaml", "--date", "2026-01-01")

    words = "`inputs.raw` reads `bronze/p`, which `load` writes, but does not wait for it"
    for day, task, line, needs in ((2, "clean", 9, "[names, load]"), (3, "several[0]", 13, "[clean, names]")):
        early = PIPELINE.replace("[clean, names]", "names") if day == 3 else PIPELINE
        pipeline.write_text(early.replace(f"needs: {needs}", "needs: names"))
        assert "all good" in airflow_wall(tmp_path, "validate", "p.yaml")
        text = airflow_wall(tmp_path, "run", "p.yaml", "--date", f"2026-01-0{day}", code=1)
        assert f"error: task `{task}` ({pipeline}:{line}): {words}\n" in text
        assert "hint: let `load` come before it; or write `raw: {table: bronze/p, external: true}` if it means" in text

    external = "[{raw: {table: bronze/p, external: true}}, {raw: silver/names}]"
    pipeline.write_text(pipeline.read_text().replace("[{raw: bronze/p}, {raw: silver/names}]", external))
    airflow_wall(tmp_path, "run", "p.yaml", "--date", "2026-01-03", code=4)  # no new data
