"""
Print what the DAGs of a file are, as JSON, so that two ways to write them can be compared.

    python describe.py dag-factory|airflow-wall FILE
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from airflow.sdk import DAG

IGNORED = {
    "args", "kwargs", "self", "dag", "task_group", "task_id", "default_args", "doc", "multiple_outputs",
    "op_args",  # `[]` and `()`
    "show_return_value_in_logs", "params",
    "doc_md",  # dag-factory takes it from the function
}  # fmt: skip
"""Parameters of operators that are not compared: they say where a task is, or are compared otherwise."""

OF_DAG = (
    "dag_id", "dag_display_name", "description", "start_date", "end_date", "catchup", "tags", "max_active_runs",
    "max_active_tasks", "dagrun_timeout", "is_paused_upon_creation", "render_template_as_native_obj", "access_control",
    "on_success_callback", "on_failure_callback", "user_defined_macros",
)  # fmt: skip


def plain(value: Any) -> Any:  # noqa: C901
    """Return a value as JSON. Of a function only the name counts: dag-factory imports files as modules of other names."""
    if isinstance(value, functools.partial):
        return [plain(value.func), plain(value.keywords)]
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value))
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    name = type(value).__name__
    if name in ("Asset", "AssetAll", "AssetAny"):
        return [name, plain(value.objects)] if hasattr(value, "objects") else value.uri
    if name == "PlainXComArg":
        return f"XCom of {value.operator.task_id}"
    if name == "LiteralValue":
        return plain(value.value)
    if inspect.isroutine(value):
        return value.__name__
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _callbacks(value: Any) -> Any:
    return plain(value if value is None or isinstance(value, list) else [value])


def parameters(kind: type) -> set[str]:
    """Return the names of all arguments of an operator's class."""
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            names |= {*inspect.signature(vars(base)["__init__"]).parameters}
    return names - IGNORED


def described_task(task: Any) -> dict[str, Any]:
    """Return the kind, the edges and the arguments of a task."""
    kind = getattr(task, "operator_class", type(task))
    if kind.__name__.startswith("_PythonDecorated"):  # the work is the same as that of a PythonOperator
        kind = kind.__mro__[2]
    described = {
        "operator": kind.__name__,
        "upstream": sorted(task.upstream_task_ids),
        "downstream": sorted(task.downstream_task_ids),
    }
    if hasattr(task, "partial_kwargs"):
        arguments = {name: plain(value) for name, value in task.partial_kwargs.items() if name not in IGNORED}
        mapped = getattr(task, "op_kwargs_expand_input", None) or task.expand_input
        return {**described, "each": plain(mapped.value), "arguments": {k: v for k, v in arguments.items() if v}}
    arguments = {name: plain(getattr(task, name, None)) for name in sorted(parameters(kind))}
    return {**described, "arguments": {name: value for name, value in arguments.items() if value not in (None, [], {})}}


def described_groups(group: Any) -> Iterable[dict[str, Any]]:
    """Yield the groups of a DAG."""
    for child in group.children.values():
        if hasattr(child, "children"):
            yield {"id": child.group_id, "tooltip": child.tooltip, "children": sorted(child.children)}
            yield from described_groups(child)


def described(dag: DAG) -> dict[str, Any]:
    """Return what a DAG is."""
    documentation = (dag.doc_md or "").partition("\n")[0]
    is_generated = documentation.startswith(("## YML DAG", "Built by airflow-wall"))
    return {
        **{name: plain(getattr(dag, name)) for name in OF_DAG},
        "tags": sorted(dag.tags - {"dagfactory"}),  # which it adds
        **{name: _callbacks(getattr(dag, name)) for name in ("on_success_callback", "on_failure_callback")},
        "schedule": [type(dag.timetable).__name__, plain(getattr(dag.timetable, "asset_condition", None))],
        "expression": str(getattr(dag.timetable, "expression", "")),
        "zone": str(getattr(dag.timetable, "timezone", "")),
        "params": {name: plain(value) for name, value in dag.params.dump().items()},
        "doc": "" if is_generated else documentation,
        "groups": sorted(described_groups(dag.task_group), key=lambda group: group["id"]),
        "tasks": {task.task_id: described_task(task) for task in sorted(dag.tasks, key=lambda task: task.task_id)},
    }


def main() -> None:
    way, file = sys.argv[1:]
    if way == "dag-factory":
        import dagfactory  # it is in a virtual environment of its own

        dags: dict[str, Any] = {}
        dagfactory.load_yaml_dags(globals_dict=dags, config_filepath=file)
    else:
        import airflow_wall

        dags = dict(airflow_wall.load_dags(file))
    result = {dag.dag_id: described(dag) for dag in dags.values() if isinstance(dag, DAG)}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
