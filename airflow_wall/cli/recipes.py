"""
Record the inputs of each task of a run, so that a resumed run repeats the tasks whose inputs have changed.

Without this, a user who fixes a training function after `check_integrity` rejected its scores would see the same scores
rejected again, because the task that computed them had succeeded. Contents are compared, not modification times,
because a checkout changes those.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.errors import DataError
from airflow_wall.job import safe_name
from airflow_wall.lake.lake import Lake
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.sources.backends import parse_source


class Recipes:
    """
    The recipes of a pipeline's runs, i.e. the inputs of their tasks: one document per run.

    :param plan: The current pipeline.
    :param folder: Directory of the documents.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._tasks = {task.task_id: task for task in plan.tasks}
        self._plan = plan
        self._folder = folder / safe_name(plan.dag_id)
        self._code = _digest_of_code(plan.code)

    def note(self, run_id: str, task_id: str) -> None:
        """Store the inputs of a try that starts now."""
        recipes = self._read(run_id)
        task = self._tasks.get(task_id)
        if task is None:
            return  # it belongs to a task of the file, such as the approval of a model
        files = _files(task, self._plan.storage)
        state.write(self._path(run_id), {**recipes, task_id: {"digest": self._digest(task), "files": files}})

    def outdated(self, run_id: str, finished: Iterable[str]) -> list[str]:
        """Return the finished tasks whose inputs have changed, sorted."""
        recipes = self._read(run_id)
        return sorted(
            task_id
            for task_id in finished
            if task_id in recipes
            and task_id in self._tasks
            and self._has_changed(self._tasks[task_id], recipes[task_id])
        )

    def _has_changed(self, task: TaskPlan, recipe: dict[str, Any]) -> bool:
        current_files = _files(task, self._plan.storage)
        # A file that has landed since belongs to a later run.
        return recipe["digest"] != self._digest(task) or any(
            current_files.get(uri) != version for uri, version in recipe["files"].items()
        )

    def _digest(self, task: TaskPlan) -> str:
        code = self._code if task.arguments.get("entrypoint") else None
        made_from = [task.uses, dict(task.arguments), code]  # SQL and checks are already texts in the arguments
        return _sha256(json.dumps(made_from, sort_keys=True, default=repr).encode())

    def _read(self, run_id: str) -> dict[str, Any]:
        return {key: value for key, value in (state.read(self._path(run_id)) or {}).items() if key != "format"}

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{safe_name(run_id)}.json"


def _files(task: TaskPlan, storage: Lake) -> dict[str, str]:
    """Return the uri and version of each file that an ingest reads."""
    source = task.arguments.get("source")
    if task.uses != "ingest" or not isinstance(source, str):
        return {}
    try:
        versions = parse_source(source).local_versions(storage)
    except DataError:  # the task itself reports it
        return {}
    return {version.uri: version.version for version in versions}


def _digest_of_code(folder: Path) -> str:
    """Return one digest of all Python files in the pipeline's directory: a function may import any of them."""
    names = sorted(path for path in folder.rglob("*.py") if not path.relative_to(folder).parts[0].startswith("."))
    return _sha256(b"".join(f"{path}\0{_sha256(path.read_bytes())}\n".encode() for path in names))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
