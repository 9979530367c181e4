"""The tables that tasks read and write, as far as they are known when the file is read."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.errors import SpecError
from airflow_wall.language.markers import JINJA, Template, XComRef
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.mapping import blocks
from airflow_wall.text.kinds import FieldKind, Shape, fields_of
from airflow_wall.text.table_names import REJECTED

if TYPE_CHECKING:
    from airflow_wall.checks.base import Check
    from airflow_wall.planner.plan import TaskPlan

_TARGET = "target"
_EXTERNAL = "external"


@dataclass(frozen=True)
class PlannedRead:
    """
    A table that a task reads.

    :param key: Its path below the task, e.g. `("with", "inputs", "raw")`.
    :param table: Its name, or a pattern such as `silver/*`.
    :param is_external: True if its rows come from elsewhere or from an earlier run.
    :param entry: The name that a mapping gives it, e.g. `raw` in `inputs`; None if the field names only this table.
    :param check: The number and the kind of the check that reads it, if it is not the table that the task checks.
    """

    task: TaskPlan
    key: Loc
    table: str
    is_external: bool
    entry: str | None = None
    check: tuple[int, str] | None = None

    @property
    def verb(self) -> str:
        """Return the verb that says in a message for which purpose the task reads it."""
        step = STEPS[self.task.uses]
        return "publishes" if step.publishes else "checks" if self.is_checked else "reads"

    @property
    def is_checked(self) -> bool:
        """Return True if the task checks the table."""
        return STEPS[self.task.uses].checks_rows and self.check is None

    @property
    def is_gate(self) -> bool:
        """Return True if the checks of the task decide which rows of the table are published."""
        return self.is_checked and self.task.arguments.get("gate") is not False

    @property
    def waits_for_checks(self) -> bool:
        """Return True if the task must come after the checks of the table."""
        return STEPS[self.task.uses].publishes or (self.check is not None and not self.is_external)

    @property
    def as_external(self) -> str:
        """Return the YAML that says that its rows come from elsewhere or from an earlier run."""
        if self.check is not None:
            return f"{self.check[1]}: {{table: {self.table}, external: true}}"
        if self.entry is None:
            return "external: true"
        return f"{self.entry}: {{table: {self.table}, external: true}}"


def reads_of(task: TaskPlan) -> Iterator[PlannedRead]:
    """Yield the tables that a step reads. A name that a template or another task gives is left out."""
    if task.uses not in STEPS:
        return
    for name in _table_fields(task.uses):
        if name == _TARGET:
            continue
        for loc, value in _values_of(name, task):
            if not isinstance(value, Mapping):
                yield from _read(task, loc, None, value, task.arguments.get(_EXTERNAL))
                continue
            for entry, table in _entries(task.uses, name, value):
                if isinstance(table, Mapping):  # `{table: NAME, external: true}`
                    yield from _read(task, (*loc, entry), entry, table.get("table"), table.get(_EXTERNAL))
                else:
                    yield from _read(task, (*loc, entry), entry, table)
    yield from _reads_of_checks(task)


@dataclass(frozen=True)
class ModelRead:
    """
    A model whose training a check reads.

    :param key: Its path below the task.
    :param kind: The kind of the check.
    :param is_external: True if a pipeline of another folder trains it.
    """

    key: Loc
    kind: str
    model: str
    is_external: bool


def models_read(task: TaskPlan) -> Iterator[ModelRead]:
    """Yield the models whose training the checks of a task read."""
    for _, key, check in _checks_with("model", task):
        for model, is_external in check.models().items():
            yield ModelRead(key, check.kind, model, is_external)


def _reads_of_checks(task: TaskPlan) -> Iterator[PlannedRead]:
    """Yield the other tables that the checks of a task read."""
    for place, key, check in _checks_with("table", task):
        for table, is_external in check.tables().items():
            if table != task.arguments.get("table"):
                yield PlannedRead(task, key, table, is_external, None, (place, check.kind))


def checks_of(task: TaskPlan, kinds: Container[str] | None = None) -> Iterator[tuple[int, Check]]:
    """
    Yield the checks of a task with their numbers. Checks with faults, or with values known only in a run, are left out.

    :param kinds: Only these kinds of checks, if they are in a list.
    """
    if task.uses not in STEPS or not STEPS[task.uses].checks_rows:
        return
    from airflow_wall.checks.load import load_checks  # imports the kinds of checks
    from airflow_wall.checks.patterns import PatternCompiler

    checks = task.arguments.get("checks")
    patterns = PatternCompiler(0)  # they were compiled when the file was read, within the bounds of the file
    with contextlib.suppress(SpecError):
        if isinstance(checks, str):
            yield from enumerate(load_checks(checks, path=task.arguments.get("checks_file"), patterns=patterns))
    for place, item in enumerate(checks if isinstance(checks, list) else ()):
        if isinstance(item, dict) and (kinds is None or any(kind in kinds for kind in item)):
            with contextlib.suppress(SpecError):
                yield place, load_checks([item], path=None, patterns=patterns)[0]


def _checks_with(field: str, task: TaskPlan) -> Iterator[tuple[int, Loc, Check]]:
    """
    Yield the checks of a task that may name another table or a model, each with its number and the path of the name.

    :param field: `table` or `model`.
    """
    is_list = isinstance(task.arguments.get("checks"), list)
    for place, check in checks_of(task, _kinds_with(f"{field}s") if is_list else None):
        yield place, ("with", "checks", place, check.kind, field) if is_list else ("with", "checks"), check


@functools.cache
def _kinds_with(method: str) -> frozenset[str]:
    """Return the kinds of checks that define a method of their own."""
    from airflow_wall.checks.backends import CHECKS
    from airflow_wall.checks.base import Check

    return frozenset(kind for kind in CHECKS if getattr(CHECKS[kind], method) is not getattr(Check, method))


def _read(task: TaskPlan, key: Loc, entry: str | None, table: Any, external: object = None) -> Iterator[PlannedRead]:
    if isinstance(table, str):
        yield PlannedRead(task, key, table, external is True, entry)


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
    yield from _beginnings(_targets(task))


def models_trained(task: TaskPlan) -> Iterator[str]:
    """Yield the models that a `retrain` trains."""
    yield from (model for model in _models(task) if isinstance(model, str))


def beginnings_trained(task: TaskPlan) -> Iterator[str]:
    """Yield the known beginnings of the models that a `retrain` trains whose names are known only when it runs."""
    yield from _beginnings(_models(task))


def _beginnings(names: Iterable[Any]) -> Iterator[str]:
    for name in names:
        if isinstance(name, Template):
            yield JINJA.split(name.text, maxsplit=1)[0]
        elif isinstance(name, XComRef):
            yield ""


def _models(task: TaskPlan) -> Iterator[Any]:
    if task.uses == "retrain":
        yield from (value for _, value in _values_of("model", task))


def _targets(task: TaskPlan) -> Iterator[Any]:
    """Yield the values of `target`: that of a task, or those of a mapped one."""
    if _writes_table(task.uses):
        for _, value in _values_of(_TARGET, task):
            yield value


def _values_of(name: str, task: TaskPlan) -> Iterator[tuple[Loc, Any]]:
    """Yield the values of a field, each with its path below the task: that of a task, or those of a mapped one."""
    if name in task.arguments:
        yield ("with", name), task.arguments[name]
    for where, values in blocks(task.mapped, ()):
        value = values.get(name)
        if where == ("expand",) and isinstance(value, list):
            yield from (((*where, name, place), item) for place, item in enumerate(value))
        else:
            yield (*where, name), value
    if isinstance(task.mapped.get("expand_kwargs"), XComRef):
        yield ("expand_kwargs",), task.mapped["expand_kwargs"]


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
