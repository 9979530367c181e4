from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall import state
from airflow_wall.errors import Interrupted
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job
from airflow_wall.storage.backends import open_tables

CODE = """
import pathlib
import pyarrow as pa
from airflow_wall.job import Job
from airflow_wall.jobs.base import run_job
import json

def work(rows, folder, who):
    later = pathlib.Path(folder) / "later.json"
    if later.exists():  # while this one works, or is frozen, the next try is begun, and ends
        given = json.loads(later.read_text())
        later.unlink()
        run_job(Job.from_json(given), None)
    return rows.append_column("who", pa.array([who] * rows.num_rows))
"""


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (tmp_path / "moment.py").write_text(CODE)
    tables = open_tables(tmp_path / "lake")
    tables.replace_slice("bronze/rows", pa.table({"id": [1, 2]}), slice_id="s", number=1)
    return tmp_path


def job(folder: Path, number: int, **run: Any) -> Job:
    where = {"storage": folder / "lake", "project": folder, "code": folder}
    this = Run(**{"pipeline": "p", "run_id": "r", "task_id": "work", "try_number": number, "slice": Slice("s", "s"), **where, **run})  # fmt: skip
    given = {"folder": str(folder), "who": f"try {number} of {this.task_id}"}
    return Job(
        "transform",
        {
            "target": "silver/rows" if this.task_id == "work" else "silver/other",
            "inputs": {"rows": "bronze/rows"},
            "entrypoint": "moment:work",
            "parameters": given,
        },
        this,
    )


def none(conn_id: str) -> Any:
    raise AssertionError(conn_id)


def later(folder: Path, other: Job) -> None:
    (folder / "later.json").write_text(json.dumps(other.to_json()))


def who(folder: Path) -> set[str]:
    return set(open_tables(folder / "lake").read("silver/rows")["who"].to_pylist())


def marks(folder: Path) -> dict[str, str]:
    (path,) = (folder / "lake" / "_wall" / "tries").glob("[!.]*.json")
    return dict(state.read(path)["runs"])


def test_a_try_that_was_frozen_writes_nothing_once_its_successor_has_begun(lake: Path) -> None:
    later(lake, job(lake, 2))
    with pytest.raises(Interrupted) as error:
        run_job(job(lake, 1), none)
    assert str(error.value) == "task `work` of run `r` has started again elsewhere: try 1 writes nothing"
    assert who(lake) == {"try 2 of work"}


def test_tasks_and_runs_are_fenced_each_by_itself(lake: Path) -> None:
    later(lake, job(lake, 1, task_id="other"))
    run_job(job(lake, 1), none)
    assert who(lake) == {"try 1 of work"}
    later(lake, job(lake, 1, run_id="another"))
    run_job(job(lake, 3), none)
    assert who(lake) == {"try 3 of work"}


def test_nothing_is_left_of_a_fence_once_the_work_is_done(lake: Path) -> None:
    run_job(job(lake, 1), none)
    assert marks(lake) == {}


def test_a_try_after_one_that_was_killed_goes_on(lake: Path) -> None:
    later(lake, job(lake, 2))
    with pytest.raises(Interrupted):
        run_job(job(lake, 1), none)
    run_job(job(lake, 3), none)
    assert who(lake) == {"try 3 of work"}
    assert marks(lake) == {}
