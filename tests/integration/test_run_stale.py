"""
`airflow-wall run --stale` and `--rebuild`: dates that run again, because rows or a contract have changed.

Waits for: a few real runs of small tasks.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from wall_command import airflow_wall

from airflow_wall.storage.backends import open_tables

pytestmark = pytest.mark.integration

PIPELINE = """\
dag_id: d
start_date: 2024-01-01
schedule: "@daily"
storage: ./lake
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: bronze/t}}
  - {id: clean, uses: transform, needs: load, with: {inputs: {raw: bronze/t}, target: silver/t, sql: "select id, v*10 as w from raw"}}
  - {id: check, uses: check_integrity, needs: clean, with: {table: silver/t, checks: [{range: {column: w, min: 0}}]}}
  - {id: publish, uses: publish, needs: check, with: {release: p, table: silver/t, to: [{to: "files://t"}]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lake/landing").mkdir(parents=True)
    (tmp_path / "d.yaml").write_text(PIPELINE)
    return tmp_path


def land(project: Path, name: str, text: str) -> None:
    (project / "lake/landing" / name).write_text(text)


def run(project: Path, *arguments: str, code: int = 0) -> str:
    return airflow_wall(project, "run", "d.yaml", *arguments, code=code)


def silver(project: Path) -> list[tuple[str, int, int]]:
    rows = open_tables(project / "lake").read("silver/t", hidden=True).to_pylist()
    return [(row["_wall_slice"][:8], row["id"], row["w"]) for row in rows]


def test_only_stale_dates_run_again_also_where_another_airflow_ran_them(project: Path) -> None:
    land(project, "1.csv", "id,v\n1,1\n")
    run(project, "--date", "2024-01-01")
    land(project, "2.csv", "id,v\n2,2\n")
    run(project, "--date", "2024-01-02")
    land(project, "1.csv", "id,v\n1,5\n")
    land(project, "3.csv", "id,v\n3,3\n")
    text = run(project, "--date", "2024-01-03")
    assert "corrected    bronze/t: slice 20240101T000000Z from `landing/1.csv`" in text
    assert "stale        silver/t: `20240101T000000Z`" in text
    assert "run these dates again: airflow-wall run d.yaml --stale" in text
    assert silver(project) == [("20240101", 1, 10), ("20240102", 2, 20), ("20240103", 3, 30)]

    text = run(project, "--stale")
    assert "2024-01-01T00:00+00:00 (1 of 1): silver/t" in text
    assert "check" in text
    assert silver(project) == [("20240101", 1, 50), ("20240102", 2, 20), ("20240103", 3, 30)]
    assert run(project, "--stale", code=4) == "d: no table is stale\n"

    land(project, "2.csv", "id,v\n2,7\n")
    land(project, "4.csv", "id,v\n4,4\n")
    run(project, "--date", "2024-01-04")
    (project / ".airflow").rename(project / "old")
    run(project, "--stale")
    assert silver(project) == [("20240101", 1, 50), ("20240102", 2, 70), ("20240103", 3, 30), ("20240104", 4, 40)]
    assert run(project, "--stale", code=4) == "d: no table is stale\n"


def test_a_table_is_written_anew_in_types_that_its_rows_do_not_have(project: Path) -> None:
    land(project, "1.csv", "id,v,zip\n1,1,10115\n")
    run(project, "--date", "2024-01-01")
    land(project, "2.csv", "id,v,zip\n2,2,20095\n")
    run(project, "--date", "2024-01-02")
    pipeline = project / "d.yaml"
    contract = "contract: {columns: {zip: date}}"
    pipeline.write_text(pipeline.read_text().replace("target: bronze/t}", f"target: bronze/t, {contract}}}"))
    land(project, "3.csv", "id,v,zip\n3,3,2024-01-01\n")
    text = run(project, "--date", "2024-01-03", code=1)
    assert "`airflow-wall run FILE --rebuild bronze/t`" in " ".join(text.split())

    pipeline.write_text(pipeline.read_text().replace("zip: date", "zip: varchar"))
    text = run(project, "--rebuild", "bronze/t")
    assert "the old rows of `bronze/t` are in lake/_wall/replaced/" in text
    assert "2024-01-01T00:00+00:00 (1 of 2): bronze/t" in text
    tables = open_tables(project / "lake")
    assert tables.read("bronze/t").column("zip").to_pylist() == ["10115", "20095"]
    assert silver(project) == [("20240101", 1, 10), ("20240102", 2, 20)]
    run(project, "--date", "2024-01-03")
    assert tables.read("bronze/t").column("zip").to_pylist() == ["10115", "20095", "2024-01-01"]

    (project / "lake/landing/2.csv").unlink()
    text = run(project, "--rebuild", "bronze/t", code=1)
    assert "table `bronze/t` cannot be written anew: 1 of its files are gone, e.g. `landing/2.csv`" in text
    assert tables.read("bronze/t").num_rows == 3
    assert "`d` does not write the table `bronze/x`" in run(project, "--rebuild", "bronze/x", code=1)


def test_a_step_that_has_changed_computes_all_dates_anew(project: Path) -> None:
    for day in (1, 2):
        land(project, f"{day}.csv", f"id,v\n{day},{day}\n")
        run(project, "--date", f"2024-01-0{day}")
    pipeline = project / "d.yaml"
    pipeline.write_text(pipeline.read_text().replace("v*10 as w", "v*100 as w"))
    assert run(project, "--stale", code=4) == "d: no table is stale\n"
    run(project, "--rebuild", "silver/t")
    assert silver(project) == [("20240101", 1, 100), ("20240102", 2, 200)]
