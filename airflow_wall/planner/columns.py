"""The columns of tables that a contract fully declares, and checks and queries of columns that it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.language.markers import JINJA, Template
from airflow_wall.planner.table_reads import reads_of, tables_written

if TYPE_CHECKING:
    from airflow_wall.planner.plan import Plan, TaskPlan

_LISTED = 8

_COLUMN = re.compile(r'column "([^"]+)"')
"""A column in a message of DuckDB."""

Columns = Mapping[str, str | None]
"""Column to its SQL type; None for a type that is not declared."""


@dataclass(frozen=True)
class Query:
    """
    The SQL of a `transform`.

    :param sql: Its text; None if it is a template, whose text is known only when the task runs.
    :param inputs: Input to its columns and their types; None if they are not fully known.
    :param fault: A fault at its place, whose message is only the beginning.
    """

    sql: str | None
    inputs: Mapping[str, Mapping[str, str]] | None
    fault: Fault

    def with_reason(self, reason: str, line: int | None) -> Fault:
        """Return the fault that it cannot run, for a reason in a line of its text."""
        message = f"{self.fault.message.strip()} cannot run:{f' line {line}:' if line else ''} {reason}"
        hint = "correct the SQL; it is DuckDB's"
        if self.inputs:
            columns = "; ".join(f"`{name}`: {listed(columns, _LISTED)}" for name, columns in self.inputs.items())
            hint = f"the inputs are {columns}; if a table has more columns, declare them in its `contract`"
            unknown = _COLUMN.search(reason)
            names = (column for columns in self.inputs.values() for column in columns)
            if unknown is not None and (near := did_you_mean(unknown[1], names)):
                hint = f"{near} {hint[0].upper()}{hint[1:]}"
        return replace(self.fault, message=message, hint=hint)


def queries(plan: Plan) -> Iterator[Query]:
    """Yield the SQL of each `transform` of a pipeline, once for the tasks of a matrix that share it."""
    known = known_columns(plan)
    seen = set()
    for task in plan.tasks:
        sql = task.arguments.get("sql")
        if task.uses != "transform" or not isinstance(sql, str | Template):
            continue
        text = sql.text if isinstance(sql, Template) else sql
        inputs = None if task.mapped else _inputs(task, known)
        if inputs is None and (task.loc, text) in seen:
            continue
        seen.add((task.loc, text))
        is_template = isinstance(sql, Template) and JINJA.search(text) is not None
        file = task.arguments.get("sql_file")
        about = f"names `{file}`, which" if file else ""
        yield Query(None if is_template else text, inputs, plan.places.fault((*task.loc, "with", "sql"), about))


def known_columns(plan: Plan) -> dict[str, Columns]:
    """
    Return the tables whose columns are fully known, each with its columns.

    The columns are known if one `ingest` of the pipeline writes the table with a `contract` and `new_columns: false`.
    """
    writers: dict[str, list[TaskPlan]] = {}
    for task in plan.tasks:
        for table in tables_written(task):
            writers.setdefault(table, []).append(task)
    known = {}
    for table, tasks in writers.items():
        task = tasks[0]
        contract, evolve = task.arguments.get("contract"), task.arguments.get("evolve")
        is_closed = isinstance(evolve, Mapping) and evolve.get("new_columns") is False
        if len(tasks) == 1 and table == task.arguments.get("target") and is_closed and isinstance(contract, Mapping):
            known[table] = {str(name): _type_of(column) for name, column in contract.get("columns", {}).items()}
    return {table: columns for table, columns in known.items() if columns}


def check_faults(plan: Plan) -> Iterator[Fault]:
    """Yield the faults of checks that read a column which the contract of their table does not have."""
    known = known_columns(plan)
    for task in plan.tasks if known else ():
        read = next(reads_of(task), None)
        if task.uses != "check_integrity" or read is None or read.table not in known or read.is_external:
            continue
        from airflow_wall.checks.load import load_checks  # imports the kinds of checks

        checks = task.arguments.get("checks")
        if not isinstance(checks, str | list):
            continue
        names = {name.lower() for name in known[read.table]}
        for check in load_checks(checks, path=task.arguments.get("checks_file")):
            for column in check.reads() or ():
                if column.lower() not in names:
                    where = f"checks the column `{column}` (`{check.label()}`)"
                    message = f"{where}, which the contract of `{read.table}` does not have"
                    near = did_you_mean(column, known[read.table])
                    hint = near or "declare it in the `contract` of its `ingest`, if the table has it"
                    yield plan.places.fault((*task.loc, "with", "checks"), message, hint)


def _inputs(task: TaskPlan, known: Mapping[str, Columns]) -> dict[str, dict[str, str]] | None:
    tables = task.arguments.get("inputs")
    inputs: dict[str, dict[str, str]] = {}
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        columns = known.get(table) if isinstance(table, str) else None
        typed = {} if columns is None else {column: type_ for column, type_ in columns.items() if type_ is not None}
        if columns is None or len(typed) < len(columns):
            return None
        inputs[name] = typed
    return inputs or None


def _type_of(column: Any) -> str | None:
    return column if isinstance(column, str) else column.get("type") if isinstance(column, Mapping) else None
