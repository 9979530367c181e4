"""
What each task of a run was made from, so that a run that is gone on with repeats what has changed since.

Without it a user who mends a training function after `check_integrity` refused its scores would see the same scores
refused again: the task that made them had succeeded. Contents are compared, not times, as a checkout changes times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.compiler.plan import Plan, TaskPlan
from airflow_wall.errors import DataError
from airflow_wall.jobs.document import safe_name
from airflow_wall.jobs.sources import FileSource, file_source


class Recipes:
    """
    The recipes of a pipeline's runs: one document per run.

    :param plan: The pipeline as it is now.
    :param folder: Where the documents lie.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._tasks = {task.task_id: task for task in plan.tasks}
        self._plan = plan
        self._folder = folder / safe_name(plan.dag_id)
        self._code = _digest_of_code(plan.code)

    def note(self, run_id: str, task_id: str) -> None:
        """Write down what a try that begins now is made from."""
        known = self._read(run_id)
        task = self._tasks[task_id]
        files = _files(task, self._plan.storage)
        state.write(self._path(run_id), {**known, task_id: {"digest": self._digest(task), "files": files}})

    def outdated(self, run_id: str, finished: Iterable[str]) -> list[str]:
        """Return those of the finished tasks that would be made from something else now, sorted."""
        known = self._read(run_id)
        return sorted(
            task_id
            for task_id in finished
            if task_id in known and task_id in self._tasks and self._has_changed(self._tasks[task_id], known[task_id])
        )

    def _has_changed(self, task: TaskPlan, noted: dict[str, Any]) -> bool:
        there = _files(task, self._plan.storage)
        # A file that has landed since belongs to a later run.
        return noted["digest"] != self._digest(task) or any(there.get(uri) != at for uri, at in noted["files"].items())

    def _digest(self, task: TaskPlan) -> str:
        code = self._code if task.arguments.get("entrypoint") else None
        made_from = [task.uses, dict(task.arguments), code]  # SQL and checks are texts in the arguments by now
        return _sha256(json.dumps(made_from, sort_keys=True, default=repr).encode())

    def _read(self, run_id: str) -> dict[str, Any]:
        return {key: value for key, value in (state.read(self._path(run_id)) or {}).items() if key != "format"}

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{safe_name(run_id)}.json"


def _files(task: TaskPlan, storage: Path) -> dict[str, str]:
    """Name and version of each file that an ingest reads."""
    source = _file_source(task, storage)
    return {} if source is None else {version.uri: version.version for version in source.versions()}


def _file_source(task: TaskPlan, storage: Path) -> FileSource | None:
    source = task.arguments.get("source")
    if task.uses != "ingest" or not isinstance(source, str):
        return None
    try:
        return file_source(source, storage)
    except DataError:  # a table of a database; what is wrong with another source the task itself will say
        return None


def _digest_of_code(folder: Path) -> str:
    """One digest of all Python files in the pipeline's folder: a function may import any of them."""
    names = sorted(path for path in folder.rglob("*.py") if not path.relative_to(folder).parts[0].startswith("."))
    return _sha256(b"".join(f"{path}\0{_sha256(path.read_bytes())}\n".encode() for path in names))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
