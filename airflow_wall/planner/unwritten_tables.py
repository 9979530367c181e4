"""Find tables that a task reads, but that no task of the pipelines beside it writes, and models that no task trains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_wall.diagnostics import table_order
from airflow_wall.diagnostics.faults import Fault
from airflow_wall.diagnostics.suggestions import did_you_mean
from airflow_wall.planner.table_reads import (
    PlannedRead,
    beginnings_trained,
    beginnings_written,
    models_read,
    models_trained,
    reads_of,
    tables_written,
)
from airflow_wall.text.table_names import is_pattern, matches_table

if TYPE_CHECKING:
    from airflow_wall.planner.plan import Plan


@dataclass(frozen=True)
class NamesUsed:
    """
    The tables, or the models, that one pipeline reads and writes.

    :param kind: `table` or `model`.
    :param lake: Absolute path of the lake.
    :param written: The tables that its tasks write.
    :param beginnings: Beginnings of tables that its tasks write, whose names are known only when they run.
    :param read: The tables that it reads and does not write itself, each with a fault at its position.
    """

    kind: str
    lake: str
    written: tuple[str, ...]
    beginnings: tuple[str, ...]
    read: tuple[tuple[str, Fault], ...] = field(default=())


def models_used(plan: Plan) -> NamesUsed:
    """Return the models that a pipeline trains, and those whose training its checks read."""
    known = _Written()
    for task in plan.tasks:
        known.add(models_trained(task), beginnings_trained(task))
    read = {}
    for task in plan.tasks:
        for each in models_read(task):
            if not each.is_external and not known.has(each.model):
                message = f"compares with the model `{each.model}`, which no task here trains"
                hint = f"write `{each.kind}: {{model: {each.model}, external: true}}` if another folder trains it"
                place = (*task.loc, *each.key)
                read[place, each.model] = each.model, plan.places.fault(place, message, hint)
    return NamesUsed("model", str(plan.storage), tuple(known.names), tuple(known.beginnings), tuple(read.values()))


def tables_used(plan: Plan) -> NamesUsed:
    """Return the tables that a pipeline reads and writes, as far as they are known when the file is read."""
    known = _Written()
    for task in plan.tasks:
        known.add(tables_written(task), beginnings_written(task))
    read = {}
    for task in plan.tasks:
        for each in reads_of(task):
            place = (*task.loc, *each.key)
            if not each.is_external and (place, each.check) not in read and not known.has(each.table):
                read[place, each.check] = each.table, plan.places.fault(place, *_words(each))
    return NamesUsed("table", str(plan.storage), tuple(known.names), tuple(known.beginnings), tuple(read.values()))


def unwritten_names(uses: Iterable[NamesUsed]) -> dict[Path, list[Fault]]:
    """Return the faults of files with a task that reads a table or model that no pipeline of the same lake writes."""
    uses = list(uses)
    lakes: dict[tuple[str, str], _Written] = defaultdict(_Written)
    for use in uses:
        lakes[use.kind, use.lake].add(use.written, use.beginnings)
    faults: dict[Path, list[Fault]] = defaultdict(list)
    for use in uses:
        written = lakes[use.kind, use.lake]
        for name, fault in use.read:
            if not written.has(name):
                meant = did_you_mean(name, written.names)
                hint = f"{meant} Otherwise {fault.hint}" if meant else fault.hint
                faults[fault.path].append(replace(fault, hint=hint))
    return faults


class _Written:
    """The tables that tasks write into one lake, or the models that they train."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.beginnings: dict[str, None] = {}
        self._answers: dict[str, bool] = {}

    def add(self, names: Iterable[str], beginnings: Iterable[str]) -> None:
        self.names.update(dict.fromkeys(names))
        self.beginnings.update(dict.fromkeys(beginnings))

    def has(self, table: str) -> bool:
        """Return True if a task may write a table, or a table that a pattern covers. Call it when all are added."""
        if table not in self._answers:
            self._answers[table] = table in self.names or any(self._possible(table))
        return self._answers[table]

    def _possible(self, table: str) -> Iterator[bool]:
        fixed = table
        if is_pattern(table):
            yield from (matches_table(name, table) for name in self.names)
            fixed = table[: min(table.find(sign) for sign in "*?[" if sign in table)]
        for begin in self.beginnings:
            yield fixed.startswith(begin) or (is_pattern(table) and begin.startswith(fixed))


def _words(read: PlannedRead) -> tuple[str, str]:
    message = table_order.unwritten(read.verb, read.table, is_pattern=is_pattern(read.table))
    return message, table_order.elsewhere(read.as_external)
