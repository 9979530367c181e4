"""The tables that tasks read and write, as far as they are known when the file is read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.language.base import SpecModel
from airflow_wall.language.markers import JINJA, Template, XComRef
from airflow_wall.language.step_registry import STEPS
from airflow_wall.language.steps.base import TableInput
from airflow_wall.text.kinds import FieldKind, Shape, fields_of
from airflow_wall.text.table_names import REJECTED

if TYPE_CHECKING:
    from airflow_wall.planner.plan import TaskPlan

_INPUTS = "inputs"
_TARGET = "target"


@dataclass(frozen=True)
class TableRead:
    """
    A table that a task reads.

    :param key: Its path below `with`, e.g. `("inputs", "raw")`.
    :param table: Its name, or a pattern such as `silver/*`.
    :param is_external: True if its rows come from elsewhere or from an earlier run.
    """

    task: TaskPlan
    key: Loc
    table: str
    is_external: bool

    @property
    def verb(self) -> str:
        """Return the verb that says in a message for which purpose the task reads it."""
        step = STEPS[self.task.uses]
        return "publishes" if step.publishes else "checks" if step.checks_rows else "reads"

    @property
    def as_external(self) -> str:
        """Return the YAML that says that its rows come from elsewhere or from an earlier run."""
        if len(self.key) == 1:
            return "external: true"
        return f"{self.key[-1]}: {{table: {self.table}, external: true}}"


def reads_of(task: TaskPlan) -> Iterator[TableRead]:
    """Yield the tables that a step reads. A name that a template or another task gives is left out."""
    if task.uses not in STEPS:
        return
    for name in _table_fields(task.uses):
        if name == _TARGET:
            continue
        value = task.arguments.get(name)
        entries = _entries(task.uses, name, value) if isinstance(value, Mapping) else ((None, value),)
        for entry, table in entries:
            key: Loc = (name,) if entry is None else (name, entry)
            if isinstance(table, str):
                yield TableRead(task, key, table, key in task.external)


def target_table(task: TaskPlan) -> str | None:
    """Return the table that a step writes; None if it writes none, or if its name is known only when it runs."""
    target = task.arguments.get(_TARGET)
    return target if isinstance(target, str) and _writes_table(task.uses) else None


def tables_written(task: TaskPlan) -> Iterator[str]:
    """Yield the tables that a step writes, with the table of rejected rows of an `ingest`."""
    for target in _targets(task):
        if isinstance(target, str):
            yield target
            if task.arguments.get("bad_rows") == "quarantine":
                yield f"{target}{REJECTED}"


def beginnings_written(task: TaskPlan) -> Iterator[str]:
    """Yield the known beginnings of the tables that a step writes whose names are known only when it runs."""
    for target in _targets(task):
        if isinstance(target, Template):
            yield JINJA.split(target.text, maxsplit=1)[0]
        elif isinstance(target, XComRef):
            yield ""


def plain_inputs(mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a step with each `{table: NAME, external: true}` as its table, which the operator takes."""
    plain = dict(mapped)
    expand, entries = mapped.get("expand"), mapped.get("expand_kwargs")
    if isinstance(expand, Mapping) and isinstance(expand.get(_INPUTS), list):
        plain["expand"] = {**expand, _INPUTS: [_plain_tables(tables) for tables in expand[_INPUTS]]}
    if isinstance(entries, list):
        plain["expand_kwargs"] = [_with_plain_tables(entry) for entry in entries]
    return plain


def _with_plain_tables(entry: Any) -> Any:
    has_inputs = isinstance(entry, Mapping) and _INPUTS in entry
    return {**entry, _INPUTS: _plain_tables(entry[_INPUTS])} if has_inputs else entry


def _plain_tables(tables: Any) -> Any:
    if not isinstance(tables, Mapping):
        return tables
    return {name: table["table"] if isinstance(table, Mapping) else table for name, table in tables.items()}


def external_keys(values: Mapping[str, Any]) -> frozenset[Loc]:
    """Return the paths of the tables in the fields of a step that are external."""
    keys: list[Loc] = [("table",)] if values.get("external") is True else []
    for name, value in values.items():
        entries = vars(value) if isinstance(value, SpecModel) else value
        if isinstance(entries, Mapping):
            keys += [
                (name, entry) for entry, table in entries.items() if isinstance(table, TableInput) and table.external
            ]
    return frozenset(keys)


def _targets(task: TaskPlan) -> Iterator[Any]:
    """Yield the values of `target`: that of a task, or those of a mapped one."""
    if not _writes_table(task.uses):
        return
    yield task.arguments.get(_TARGET)
    expand, entries = task.mapped.get("expand", {}), task.mapped.get("expand_kwargs", [])
    values = expand.get(_TARGET, []) if isinstance(expand, Mapping) else expand
    yield from values if isinstance(values, list) else [values]
    for entry in entries if isinstance(entries, list) else [{_TARGET: entries}]:
        yield entry.get(_TARGET) if isinstance(entry, Mapping) else entry


def _writes_table(uses: str) -> bool:
    return uses in STEPS and _TARGET in _table_fields(uses)


@functools.cache  # asked for each task
def _table_fields(uses: str) -> tuple[str, ...]:
    """Return the fields of a step that name tables, alone, as the values of a mapping or in a block."""
    return tuple(field.name for field in fields_of(STEPS[uses]) if _names_tables(field.shape))


def _names_tables(shape: Shape) -> bool:
    inner = [shape.values, *(field.shape for block in shape.blocks for field in fields_of(block))]
    return FieldKind.TABLE in shape.rules or any(part is not None and _names_tables(part) for part in inner)


def _entries(uses: str, name: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a mapping that name tables; of a block, only some of its fields do."""
    (shape,) = (field.shape for field in fields_of(STEPS[uses]) if field.name == name)
    tables = {field.key for block in shape.blocks for field in fields_of(block) if _names_tables(field.shape)}
    yield from ((key, table) for key, table in value.items() if not shape.blocks or key in tables)
