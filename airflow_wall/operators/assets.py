"""
The tables, models and releases of a lake as Airflow assets.

An asset is called `LAKE/TABLE`, `LAKE/model:NAME` or `LAKE/release:NAME`, e.g. `lake/gold/scores`. `LAKE` is the
`storage` of the pipeline, relative to its project.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.settings import DEFAULT_STORAGE

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from airflow_wall.operators.base import StepOperator

MODEL, RELEASE = "model:", "release:"
"""Begin the names of assets that are no tables, below the lake."""

UNCHECKED, PASSED, WARNED = "unchecked", "passed", "warned"
"""Verdicts about the rows of a table."""

PROMOTED, NOT_BETTER = "promoted", "not promoted"
"""Verdicts about a version of a model."""

_FACTS = (
    "rows", "version", "rejected", "changed", "model", "model_version", "metric", "value", "champion_version",
    "champion_value", "reason", "passed", "warned", "warnings", "release", "targets", "previous",
)  # fmt: skip
"""Keys of the result of a step that its event repeats."""

_MOST, _LONGEST = 20, 500


def lake_name(storage: str | None, project: str | None) -> str:
    """Return the first part of the names of a lake's assets: its storage, relative to the project."""
    name = storage or DEFAULT_STORAGE
    if project is not None and "://" not in name and Path(name).is_relative_to(project):
        name = str(Path(name).relative_to(project))
    return name.removeprefix("./").rstrip("/")


def is_literal(value: Any) -> bool:
    """Return True if an argument of a task is a text that is known before the task runs."""
    return isinstance(value, str) and "{{" not in value


def written_table(task: StepOperator, table: str) -> Iterator[str]:
    """Yield the table that a task writes, unless a task of its DAG checks it: then the check announces it."""
    if is_literal(table) and not (task.has_dag() and _last_check(task.dag, table)):
        yield table


def checked_table(task: StepOperator, table: str) -> Iterator[str]:
    """Yield the table that a task checks, if it is the last check of it in its DAG."""
    if is_literal(table) and task.has_dag() and _last_check(task.dag, table) == task.task_id:
        yield table


def _last_check(dag: DAG, table: str) -> str | None:
    checks = [
        task_id
        for task_id, task in dag.task_dict.items()
        if getattr(task, "checks_table", False)
        and not isinstance(task, MappedOperator)
        and getattr(task, "table", None) == table
        and getattr(task, "gate", True)
        and not getattr(task, "external", False)
    ]
    return checks[-1] if checks else None


def rows_written(context: Context, table: str) -> dict[str, Any]:
    """Return the rows and the newest version of a table that other tasks of the run have written, for its event."""
    if context.get("outlet_events") is None:
        return {}
    writers = [task_id for task_id, task in context["dag"].task_dict.items() if getattr(task, "target", None) == table]
    results = [context["ti"].xcom_pull(task_ids=task_id) for task_id in writers]
    written = [result for result in results if isinstance(result, Mapping) and "rows" in result]
    if not written:
        return {}
    versions = [result["version"] for result in written if isinstance(result.get("version"), int)]
    return {
        "rows": sum(int(result["rows"]) for result in written),
        "rejected": sum(int(result.get("rejected", 0)) for result in written),
        **({"version": max(versions)} if versions else {}),
    }


def verdict_of(result: Mapping[str, Any]) -> str:
    """Return the verdict of a step about what it has written or checked."""
    if "promoted" in result:
        return PROMOTED if result["promoted"] else NOT_BETTER
    if "targets" in result:
        return "published"
    if "passed" in result:
        return WARNED if result.get("warned") else PASSED
    return UNCHECKED


def announce(context: Context, assets: Iterable[Asset], result: Mapping[str, Any]) -> None:
    """Attach facts about the result of a step to the events of its assets. Airflow sends them if the task succeeds."""
    events = context.get("outlet_events")
    if events is None:
        return
    facts = {name: plain(result[name]) for name in _FACTS if result.get(name) is not None}
    for asset in assets:
        events[asset].extra = {"verdict": verdict_of(result), **facts}


def plain(value: Any) -> Any:
    """Return a value of JSON without NaN, of bounded length: Airflow cannot report the end of a task with another."""
    if isinstance(value, Mapping):
        return {str(name)[:_LONGEST]: plain(item) for name, item in list(value.items())[:_MOST]}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in list(value)[:_MOST]]
    if value is None or isinstance(value, bool):
        return value
    item = getattr(value, "item", None)  # of NumPy
    if callable(item):
        return plain(item())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value)[:_LONGEST]
