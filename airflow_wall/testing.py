"""
A plugin of pytest with the fixture `run_pipeline`: run a pipeline on a few rows, through a real Airflow.

pytest finds the plugin by itself where airflow-wall is installed.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import sqlite3
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import yaml

from airflow_wall.errors import WallError

if TYPE_CHECKING:
    import pandas as pd

Sample: TypeAlias = str | bytes | Path | Sequence[Mapping[str, Any]]
"""The content of a file: its text, the path of another file or folder, or rows, which are written as CSV."""

_NOTHING_TO_DO = 4
_LEFT_OUT = ("lake", ".airflow", ".git", ".venv", "__pycache__", ".pytest_cache", "node_modules")


@dataclass(frozen=True)
class PipelineRun:
    """
    A run of a pipeline that has ended.

    :param folder: The copy of the project that it ran in.
    :param lake: The lake of the run.
    :param dag_id: The pipeline.
    :param code: The exit code of `airflow-wall run`: 0 for success, 1 for a failure, 4 if there was nothing to do.
    :param output: All that it printed.
    """

    folder: Path
    lake: Path
    dag_id: str
    code: int
    output: str

    @property
    def states(self) -> dict[str, str]:
        """Task to its state, e.g. `success`, `failed`, `skipped` or `upstream_failed`."""
        query = (
            "SELECT ti.task_id, ti.map_index, ti.state FROM task_instance ti JOIN dag_run dr USING (dag_id, run_id) "
            "WHERE dr.id = (SELECT max(id) FROM dag_run WHERE dag_id = ?)"
        )
        rows = _rows(self.folder / ".airflow" / "airflow.db", query, self.dag_id)
        return {
            row["task_id"] if row["map_index"] < 0 else f"{row['task_id']}.{row['map_index']}": row["state"]
            for row in rows
        }

    @property
    def failed_tasks(self) -> set[str]:
        """Tasks that failed, without those after them."""
        return {task for task, state in self.states.items() if state == "failed"}

    def table(self, name: str) -> pd.DataFrame:
        """Return the rows of a table of the lake, e.g. `gold/scores`."""
        from airflow_wall.notebook import read_table  # imports pandas

        return read_table(name, storage=self.lake)

    def query(self, address: str) -> list[dict[str, Any]]:
        """
        Return the published rows as clients see them; [] if nothing has been published.

        :param address: `sql://CONNECTION/TABLE` of a connection of type `sqlite`.
        :raises WallError: the address or its connection is another one.
        """
        from airflow_wall.publish.backends import parse_target
        from airflow_wall.publish.targets.sql import SqlTarget

        target = parse_target(address)
        connections = yaml.safe_load((self.folder / "connections.yaml").read_text(encoding="utf-8")) or {}
        if not isinstance(target, SqlTarget) or connections.get(target.conn_id, {}).get("conn_type") != "sqlite":
            raise WallError(
                f"a test reads `sql://CONNECTION/TABLE` of a connection of type `sqlite`, got `{address}`",
                hint="read the table of the lake instead: `run.table(...)`",
            )
        database = self.folder / connections[target.conn_id]["host"]
        name = target.name.replace('"', '""')
        if not _rows(database, "SELECT 1 FROM sqlite_master WHERE name = ?", target.name):
            return []
        return _rows(database, f'SELECT * FROM "{name}"')  # noqa: S608  # the name is quoted


class PipelineRunner:
    """
    Run pipelines of a project, in a copy of it.

    :param project: The folder with `dags/` and `connections.yaml`.
    :param folder: The folder for the copy; it must not exist. Further runs of one test use the same copy.
    """

    def __init__(self, project: Path, folder: Path) -> None:
        self.project = project
        self.folder = folder

    def __call__(
        self,
        pipeline: str | Path,
        *,
        date: str,
        sample: Mapping[str, Sample] | None = None,
        env: str | None = None,
        dag_id: str | None = None,
        fails: bool = False,
    ) -> PipelineRun:
        """
        Run a pipeline for a date, and return the run.

        :param pipeline: The YAML file, relative to the project.
        :param date: The logical date, e.g. `2024-03-01`.
        :param sample: Path in the lake to the content of the file. By default there are no files.
        :param env: The environment of the YAML file.
        :param dag_id: The pipeline, if the file has several.
        :param fails: True if the run must fail.
        :raises AssertionError: the run failed, or with `fails` did not. The message has what the run printed.
        :raises WallError: the lake of the pipeline is not below the project.
        """
        __tracebackhide__ = True
        if not self.folder.exists():
            shutil.copytree(self.project, self.folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        lake, planned = self._plan(pipeline, env, dag_id)
        for path, content in (sample or {}).items():
            _write(lake / path, content)
        command = [str(Path(sysconfig.get_path("scripts")) / "airflow-wall"), "run", str(pipeline), "--date", date]
        command += ["--retry-wait", "0s"]
        command += [
            text for option, value in (("--env", env), ("--dag-id", dag_id)) if value for text in (option, value)
        ]
        result = subprocess.run(  # noqa: S603  # our own command
            command,
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run = PipelineRun(self.folder, lake, planned, result.returncode, result.stdout)
        if run.code != 1 if fails else run.code not in (0, _NOTHING_TO_DO):
            pytest.fail(f"the run must {'fail' if fails else 'succeed'}\n\n{run.output}", pytrace=False)
        return run

    def _plan(self, pipeline: str | Path, env: str | None, dag_id: str | None) -> tuple[Path, str]:
        """Return the lake and the id of the pipeline."""
        from airflow_wall.loader.load import load_specs
        from airflow_wall.planner.planner import plan_all
        from airflow_wall.settings import Settings

        settings = Settings(environment=env)
        plans = plan_all(load_specs(self.folder / pipeline, settings), settings)
        plan = next((plan for plan in plans if dag_id in (None, plan.dag_id)), None)
        if plan is None:
            raise WallError(f"`{pipeline}` holds no pipeline `{dag_id}`", hint="correct `dag_id` of `run_pipeline`")
        lake = plan.storage.folder
        if lake is None or not lake.is_relative_to(self.folder):
            raise WallError(
                f"a test must not write to the lake `{plan.storage}`, which is not below the project",
                hint="write `storage: ./lake`, and the other path in an entry of `environments`",
            )
        return lake, plan.dag_id


@pytest.fixture
def run_pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> PipelineRunner:
    """Runs a pipeline of the project, in a copy of it: `run_pipeline("dags/orders.yaml", date="2024-03-01")`."""
    return PipelineRunner(request.config.rootpath, tmp_path / "project")


def _write(path: Path, content: Sample) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        if content.is_dir():
            shutil.copytree(content, path, dirs_exist_ok=True)
        else:
            shutil.copy(content, path)
    elif isinstance(content, str | bytes):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(content[0]) if content else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(content)
        path.write_text(text.getvalue(), encoding="utf-8")


def _rows(database: Path, query: str, *values: str) -> list[dict[str, Any]]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, values)]
