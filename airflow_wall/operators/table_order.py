"""The tables that an operator reads, and the tasks of its DAG for which it does not wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.job import TableOrder, TableRead

if TYPE_CHECKING:
    from airflow.sdk import DAG

Input = str | Mapping[str, Any]
"""A table, or `{"table": NAME, "external": True}` for rows from elsewhere or from an earlier run."""


def tables_of(inputs: Mapping[str, Input]) -> dict[str, str]:
    """Return the table of each input."""
    return {name: table if isinstance(table, str) else table["table"] for name, table in inputs.items()}


def reads_of(inputs: Mapping[str, Input], argument: str) -> Iterator[TableRead]:
    """Yield the tables that an argument names."""
    for name, table in tables_of(inputs).items():
        given = inputs[name]
        external = not isinstance(given, str) and bool(given.get("external"))
        yield TableRead(f"{argument}.{name}", table, external=external)


def order_of(task: BaseOperator, dag: DAG, reads: Iterable[TableRead]) -> TableOrder:
    """Return the tables that a task reads, with the tasks of its DAG for which it does not wait."""
    before = task.get_flat_relative_ids(upstream=True)
    others = {
        task_id: _literal(other, "target")
        for task_id, other in dag.task_dict.items()
        if task_id not in before and task_id != task.task_id
    }
    after = sorted(task.get_flat_relative_ids(upstream=False))
    return TableOrder(tuple(_with_checkers(read, dag, others) for read in reads), others, tuple(after))


def _with_checkers(read: TableRead, dag: DAG, others: Collection[str]) -> TableRead:
    if not read.checked:
        return read
    checkers = checkers_of(dag, read.table)
    certain, possible = (
        tuple(task for task in checkers[name] if task in others) for name in ("checked_by", "possibly_checked_by")
    )
    return replace(read, checkers=certain, possible_checkers=possible)


def checkers_of(dag: DAG, table: str) -> dict[str, list[str]]:
    """
    Return the tasks of a DAG that check a table, as arguments of the job `stage`.

    The table of a mapped or templated task is known only when it runs.
    """
    certain, possible = [], []
    for task_id, task in dag.task_dict.items():
        if getattr(getattr(task, "operator_class", task), "checks_table", False) and _argument(task, "gate", True):
            name = _literal(task, "table")
            if name == table:
                certain.append(task_id)
            elif name is None:
                possible.append(task_id)
    return {"checked_by": sorted(certain), "possibly_checked_by": sorted(possible)}


def _literal(task: BaseOperator | MappedOperator, name: str) -> str | None:
    """Return an argument of a task; None if it has none, or if it is known only when the task runs."""
    value = _argument(task, name, None)
    return value if isinstance(value, str) and "{{" not in value else None


def _argument(task: BaseOperator | MappedOperator, name: str, default: Any) -> Any:
    arguments = task.partial_kwargs if isinstance(task, MappedOperator) else vars(task)
    return arguments.get(name, default)
