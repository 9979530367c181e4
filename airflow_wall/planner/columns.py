"""The columns of tables that a contract fully declares, and checks and queries of columns that it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.language.markers import JINJA, Template
from airflow_wall.language.step_registry import STEPS
from airflow_wall.planner.table_reads import checks_of, reads_of, tables_written

if TYPE_CHECKING:
    from airflow_wall.planner.plan import Plan, TaskPlan

_LISTED = 8

_COLUMN = re.compile(r'column "([^"]+)"')
"""A column in a message of DuckDB."""

Columns = Mapping[str, str | None]
"""Column to its SQL type; None for a type that is not declared."""

KnownTables = Mapping[tuple[str, str], Columns]
"""Lake and table to the columns of the table, for tables whose columns are fully known."""


@dataclass(frozen=True)
class TransformQuery:
    """
    The SQL of a `transform`.

    :param sql: Its text; None if it is a template, whose text is known only when the task runs.
    :param lake: Absolute path of the lake.
    :param tables: Input to its table; None if one of them is not known, or is external.
    :param fault: A fault at its place, whose message is only the beginning.
    """

    sql: str | None
    lake: str
    tables: Mapping[str, str] | None
    fault: Fault

    def inputs(self, known: KnownTables) -> dict[str, Mapping[str, str]] | None:
        """Return the columns of each input and their types; None if they are not fully known."""
        inputs: dict[str, Mapping[str, str]] = {}
        for name, table in (self.tables or {}).items():
            columns = known.get((self.lake, table))
            if columns is None or None in columns.values():
                return None
            inputs[name] = {column: str(type_) for column, type_ in columns.items()}
        return inputs or None

    def with_reason(self, reason: str, line: int | None, inputs: Mapping[str, Mapping[str, str]] | None) -> Fault:
        """
        Return the fault that it cannot run, for a reason in a line of its text.

        :param inputs: The columns of its inputs, if they are known.
        """
        message = f"{self.fault.message.strip()} cannot run:{f' line {line}:' if line else ''} {reason}"
        hint = "correct the SQL; it is DuckDB's"
        if inputs:
            columns = "; ".join(f"`{name}`: {listed(columns, _LISTED)}" for name, columns in inputs.items())
            hint = f"the inputs are {columns}; if a table has more columns, declare them in its `contract`"
            unknown = _COLUMN.search(reason)
            names = (column for columns in inputs.values() for column in columns)
            if unknown is not None and (near := did_you_mean(unknown[1], names)):
                hint = f"{near} {hint[0].upper()}{hint[1:]}"
        return replace(self.fault, message=message, hint=hint)


@dataclass(frozen=True)
class NamedColumn:
    """
    A column of a table that a check or the `key` of a publication names.

    :param lake: Absolute path of the lake.
    :param fault: The fault that the table does not have it, without a hint.
    """

    lake: str
    table: str
    column: str
    fault: Fault


def queries(plan: Plan) -> Iterator[TransformQuery]:
    """Yield the SQL of each `transform` of a pipeline, once for the tasks of a matrix that share it."""
    seen = set()
    for task in plan.tasks:
        sql = task.arguments.get("sql")
        if task.uses != "transform" or not isinstance(sql, str | Template):
            continue
        text = sql.text if isinstance(sql, Template) else sql
        tables = None if task.mapped else _tables(task)
        once = (task.loc, text, None if tables is None else tuple(tables.items()))
        if once in seen:
            continue
        seen.add(once)
        is_template = isinstance(sql, Template) and JINJA.search(text) is not None
        file = task.arguments.get("sql_file")
        about = f"names `{file}`, which" if file else ""
        fault = plan.places.fault((*task.loc, "with", "sql"), about)
        yield TransformQuery(None if is_template else text, str(plan.storage), tables, fault)


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


def named_columns(plan: Plan) -> Iterator[NamedColumn]:
    """Yield the columns that the checks and the publications of a pipeline name."""
    for task in plan.tasks:
        read = next(reads_of(task), None)
        if read is None or read.is_external:
            continue
        named = _checked_columns(task) if read.is_checked else _key_columns(task)
        at: dict[Loc, Fault] = {}  # the columns of a file of checks share one place
        for column, loc, about in named:
            fault = at.get(loc) or at.setdefault(loc, plan.places.fault((*task.loc, "with", *loc), ""))
            message = f"{fault.message}{about}, which the contract of `{read.table}` does not have"
            yield NamedColumn(str(plan.storage), read.table, column, replace(fault, message=message))


def _checked_columns(task: TaskPlan) -> Iterator[tuple[str, Loc, str]]:
    for _, check in checks_of(task):
        for column in check.reads() or ():
            yield column, ("checks",), f"checks the column `{column}` (`{check.label()}`)"


def _key_columns(task: TaskPlan) -> Iterator[tuple[str, Loc, str]]:
    if task.uses not in STEPS or not STEPS[task.uses].publishes:
        return
    destinations = task.arguments.get("to")
    places: list[tuple[Loc, Any]] = [(("key",), task.arguments.get("key"))]
    if isinstance(destinations, list):
        places = [(("to", number, "key"), each.get("key")) for number, each in enumerate(destinations)]
    for loc, key in places:
        for number, column in enumerate(key if isinstance(key, list) else ()):
            if isinstance(column, str):
                yield column, (*loc, number), f"names the column `{column}`"


def unknown_columns(named: Iterable[NamedColumn], known: KnownTables) -> Iterator[Fault]:
    """Yield the faults of columns which the contract of their table does not have."""
    for each in named:
        columns = known.get((each.lake, each.table))
        if columns is not None and each.column.lower() not in {name.lower() for name in columns}:
            near = did_you_mean(each.column, columns)
            yield replace(each.fault, hint=near or "declare it in the `contract` of its `ingest`, if the table has it")


def _tables(task: TaskPlan) -> dict[str, str] | None:
    tables = task.arguments.get("inputs")
    if not isinstance(tables, Mapping) or not all(isinstance(table, str) for table in tables.values()):
        return None
    return dict(tables)


def _type_of(column: Any) -> str | None:
    return column if isinstance(column, str) else column.get("type") if isinstance(column, Mapping) else None
