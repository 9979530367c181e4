"""
The fixture `run_pipeline` keeps to its copy of the project.

`tests/integration/test_first_project.py` runs pipelines by it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.errors import WallError
from airflow_wall.testing import PipelineRun, PipelineRunner, _write

TASKS = "tasks: [{id: new_data, uses: check_new_data, with: {source: landing}}]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "dags").mkdir(parents=True)
    (folder / "connections.yaml").write_text("platform: {conn_type: postgres, host: db.example.com}\n")
    return folder


def test_lake_outside_of_the_project_is_refused(project: Path, tmp_path: Path) -> None:
    (project / "dags" / "a.yaml").write_text(f"dag_id: a\nstorage: {tmp_path / 'production'}\n{TASKS}")
    with pytest.raises(WallError, match="a test must not write to the lake") as error:
        PipelineRunner(project, tmp_path / "copy")("dags/a.yaml", date="2024-03-01", sample={"landing/a.csv": "a\n"})
    assert error.value.hint == "write `storage: ./lake`, and the other path in an entry of `environments`"
    assert not (tmp_path / "production").exists()


def test_unknown_pipeline_of_a_file_is_named(project: Path, tmp_path: Path) -> None:
    (project / "dags" / "a.yaml").write_text(f"dag_id: a\n{TASKS}")
    with pytest.raises(WallError, match=r"`dags/a\.yaml` holds no pipeline `b`"):
        PipelineRunner(project, tmp_path / "copy")("dags/a.yaml", date="2024-03-01", dag_id="b")


def test_server_is_not_read_as_a_file(project: Path) -> None:
    run = PipelineRun(project, project / "lake", "a", 0, "")
    with pytest.raises(WallError, match="of a connection of type `sqlite`, got `sql://platform/t`"):
        run.query("sql://platform/t")


def test_sample_is_rows_a_text_bytes_a_file_or_a_folder(tmp_path: Path) -> None:
    _write(tmp_path / "in" / "rows.csv", [{"a": 1, "b": "x,y"}, {"a": 2, "b": None}])
    assert (tmp_path / "in" / "rows.csv").read_bytes() == b'a,b\n1,"x,y"\n2,\n'
    _write(tmp_path / "in" / "text.csv", "a\r\n1\r\n")
    assert (tmp_path / "in" / "text.csv").read_bytes() == b"a\r\n1\r\n"
    _write(tmp_path / "out" / "copy.csv", tmp_path / "in" / "text.csv")
    _write(tmp_path / "out", tmp_path / "in")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["copy.csv", "rows.csv", "text.csv"]
