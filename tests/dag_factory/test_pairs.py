"""
Two documents, one for dag-factory and one for airflow-wall, give equal DAGs; between them they use every key.

Waits for: a virtual environment with dag-factory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent
PAIRS = FOLDER / "pairs"
GUIDE = FOLDER.parents[1] / "docs" / "guides" / "coming-from-dag-factory.md"

CALLBACKS = [f"on_{event}_callback" for event in ("execute", "success", "failure", "retry", "skipped")]

KEYS = {
    "default", "default_args", "tasks", "task_groups",
    # of a DAG
    "dag_display_name", "description", "schedule", "timezone", "start_date", "end_date", "catchup", "tags",
    "max_active_runs", "max_active_tasks", "concurrency", "dagrun_timeout", "params", "is_paused_upon_creation",
    "render_template_as_native_obj", "access_control", "doc_md", "doc_md_file_path", "user_defined_macros",
    # of a task
    "task_id", "operator", "decorator", "dependencies", "task_group_name", "python_callable", "python_callable_name",
    "python_callable_file", "expand", "partial", "inlets", "outlets", "execution_delta", "execution_date_fn",
    "execution_date_fn_name", "execution_date_fn_file", "response_check_name", "response_check_file",
    "success_check_name", "success_check_file", "failure_check_name", "failure_check_file",
    # of a group
    "group_name", "parent_group_name", "prefix_group_id", "tooltip",
    # of callbacks, and of objects
    *CALLBACKS, "callback", "on_failure_callback_name", "on_failure_callback_file",
    "__type__", "__args__", "__or__", "__and__", "__join__",
}  # fmt: skip
"""Keys that dagfactory/dagbuilder.py, dagfactory.py, utils.py and _yaml.py of 1.1.0 read by name, and that have a counterpart."""

WITHOUT_COUNTERPART = {
    "template_searchpath", "variables_as_arguments", "sla_miss_callback", "sla_miss_callback_name",
    "sla_miss_callback_file", "doc_md_python_callable_name", "doc_md_python_callable_file", "doc_md_python_arguments",
    "response_check_lambda", "success_check_lambda", "failure_check_lambda", "default_view", "orientation",
    "timetable", "schedule_interval", "datasets", "file",
}  # fmt: skip
"""Its other keys. The guide names what to do instead."""


def described(python: str | Path, way: str, file: Path, **variables: str) -> dict[str, Any]:
    """Return what the DAGs of a file are, as `describe.py` prints it."""
    done = subprocess.run(
        [python, FOLDER / "describe.py", way, file],
        cwd=PAIRS,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def dag_factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment with dag-factory 1.1.0 and the Airflow of this one."""
    folder = tmp_path_factory.mktemp("dag_factory")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = [
        "apache-airflow-core",
        *(f"apache-airflow-providers-{name}" for name in ("standard", "http", "common-sql")),
    ]
    pinned = [f"{package}=={version(package)}" for package in packages]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "dag-factory==1.1.0", *pinned], check=True)
    return python


@pytest.mark.full
def test_both_documents_give_equal_dags(dag_factory: Path, tmp_path: Path) -> None:
    variables = {"FOLDER": str(PAIRS), "PYTHONPATH": str(PAIRS), "AIRFLOW__CORE__DAGS_FOLDER": str(PAIRS)}
    home = {"AIRFLOW_HOME": str(tmp_path)}
    theirs = described(dag_factory, "dag-factory", PAIRS / "theirs.yaml", **variables, **home)
    ours = described(sys.executable, "airflow-wall", PAIRS / "ours.yaml", **home)
    assert len(theirs) == 8
    assert theirs == ours


def keys_of(value: Any) -> Iterator[str]:
    """Yield all keys of a document."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(item)
    if isinstance(value, dict):
        yield from map(str, value)


def test_documents_use_every_key_that_has_a_counterpart() -> None:
    used = {*keys_of(yaml.safe_load((PAIRS / "theirs.yaml").read_text()))}
    assert used >= KEYS
    assert used.isdisjoint(WITHOUT_COUNTERPART)


def test_guide_names_every_key() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    missing = [key for key in sorted(KEYS | WITHOUT_COUNTERPART) if f"`{key}" not in text and f"{key}:" not in text]
    assert missing == []
