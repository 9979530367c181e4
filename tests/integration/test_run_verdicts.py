"""
A bad night and the morning after: rejected rows are withheld, and two commands show how to go on.

Waits for: a few real runs of small tasks.
"""

from __future__ import annotations

import shlex
import sqlite3
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
  - {id: ingest, uses: ingest, with: {source: landing, target: gold/s}}
  - id: check_integrity
    uses: check_integrity
    needs: ingest
    with: {table: gold/s, checks: [{range: {column: score, min: 0, max: 100}}]}
  - id: publish
    uses: publish
    needs: check_integrity
    with: {release: p, table: gold/s, to: [{to: "sql://db/s", key: [id]}]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lake/landing").mkdir(parents=True)
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "connections.yaml").write_text("db: {conn_type: sqlite, host: db.sqlite}\n")
    return tmp_path


def land(project: Path, day: int, *rows: tuple[int, int]) -> None:
    (project / f"lake/landing/d{day}.csv").write_text("id,score\n" + "".join(f"{id_},{v}\n" for id_, v in rows))


def clients(project: Path) -> list[int]:
    with sqlite3.connect(project / "db.sqlite") as database:
        return sorted(row[0] for row in database.execute("SELECT id FROM s").fetchall())


def commands_in(text: str, beginning: str) -> list[list[str]]:
    lines = [line.partition(beginning)[2] for line in text.splitlines() if beginning in line]
    return [shlex.split(line)[1:] for line in lines]


def test_rejected_rows_are_withheld_until_they_are_corrected_or_dropped(project: Path) -> None:
    land(project, 1, (1, 10), (2, 20))
    airflow_wall(project, "run", "p.yaml", "--date", "2026-01-01")
    assert clients(project) == [1, 2]

    land(project, 2, (3, -999), (4, 99999))
    text = airflow_wall(project, "run", "p.yaml", "--date", "2026-01-02", code=1)
    assert "still live   release p-20260101T000000Z\n             2 rows in sql://db/s\n" in text
    withheld = "withheld     gold/s, slice 20260102T000000Z: `check_integrity` failed: range of score"
    assert withheld in text
    assert len(commands_in(text, "run the date again: ")) == len(commands_in(text, "or drop the slice: ")) == 1
    land(project, 3, (5, 50))
    text = airflow_wall(project, "run", "p.yaml", "--date", "2026-01-03")
    assert clients(project) == [1, 2, 5]
    assert withheld in text

    land(project, 2, (3, 30))
    (again,) = commands_in(text, "run the date again: ")
    assert again == ["run", "p.yaml", "--date", "2026-01-02T00:00+00:00", "--again"]
    text = airflow_wall(project, *again)
    assert "withheld" not in text
    assert clients(project) == [1, 2, 3, 5]

    land(project, 4, (6, -1))
    airflow_wall(project, "run", "p.yaml", "--date", "2026-01-04", code=1)
    land(project, 5, (7, 70))
    text = airflow_wall(project, "run", "p.yaml", "--date", "2026-01-05")
    (drop,) = commands_in(text, "or drop the slice: ")
    assert drop[:4] == ["tables", "drop-slice", "gold/s", "20260104T000000Z"]
    assert airflow_wall(project, *drop) == "gold/s, slice 20260104T000000Z: 1 row dropped\n"
    assert "dropped" in airflow_wall(project, "tables", "slices", "gold/s", "--storage", "lake")
    land(project, 6, (8, 80))
    assert "withheld" not in airflow_wall(project, "run", "p.yaml", "--date", "2026-01-06")
    assert clients(project) == [1, 2, 3, 5, 7, 8]


def test_rows_that_no_check_has_seen_are_withheld(project: Path) -> None:
    pipeline = project / "p.yaml"
    late = PIPELINE.replace("    needs: check_integrity\n", "    needs: ingest\n")
    pipeline.write_text(
        late.replace("uses: check_integrity\n    needs: ingest", "uses: check_integrity\n    needs: publish")
    )
    land(project, 1, (1, 10))
    text = airflow_wall(project, "run", "p.yaml", "--date", "2026-01-01", code=1)
    assert (
        "no rows of table `gold/s` passed its checks: gold/s, slice 20260101T000000Z: `check_integrity` has not" in text
    )
    assert "still live   nothing: `p` has no release yet\n" in text


def test_edited_checks_judge_the_present_slice_and_check_judges_the_rest(project: Path) -> None:
    for day, score in ((1, 10), (2, 60), (3, 20)):
        land(project, day, (day, score))
        airflow_wall(project, "run", "p.yaml", "--date", f"2026-01-0{day}")
    pipeline = project / "p.yaml"
    pipeline.write_text(PIPELINE.replace("max: 100", "max: 50"))
    land(project, 4, (4, 40))
    airflow_wall(project, "run", "p.yaml", "--date", "2026-01-04")
    assert clients(project) == [1, 2, 3, 4]

    text = airflow_wall(project, "check", "gold/s", "--in", "p.yaml")
    assert "p: 4 slices of gold/s passed, 0 are withheld" in text
    text = airflow_wall(project, "check", "gold/s", "--in", "p.yaml", "--all", code=1)
    assert "20260102T000000Z  withheld: `check_integrity` failed: range of score" in text
    assert "p: 3 slices of gold/s passed, 1 is withheld" in text
    land(project, 5, (5, 50))
    airflow_wall(project, "run", "p.yaml", "--date", "2026-01-05")
    assert clients(project) == [1, 3, 4, 5]
    assert "no task in `p.yaml` checks the table `gold/x`" in airflow_wall(
        project, "check", "gold/x", "--in", "p.yaml", code=1
    )
