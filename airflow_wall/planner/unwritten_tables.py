"""Find tables that a task reads, but that no task of the pipelines beside it writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_wall.diagnostics import table_order
from airflow_wall.diagnostics.faults import Fault
from airflow_wall.diagnostics.suggestions import did_you_mean
from airflow_wall.planner.table_reads import TableRead, beginnings_written, reads_of, tables_written
from airflow_wall.text.table_names import is_pattern, matches_table

if TYPE_CHECKING:
    from airflow_wall.planner.plan import Plan


@dataclass(frozen=True)
class TablesUsed:
    """
    The tables that one pipeline reads and writes.

    :param lake: Absolute path of the lake.
    :param written: The tables that its tasks write.
    :param beginnings: Beginnings of tables that its tasks write, whose names are known only when they run.
    :param read: The tables that it reads and does not write itself, each with a fault at its position.
    """

    lake: str
    written: tuple[str, ...]
    beginnings: tuple[str, ...]
    read: tuple[tuple[str, Fault], ...] = field(default=())


def tables_used(plan: Plan) -> TablesUsed:
    """Return the tables that a pipeline reads and writes, as far as they are known when the file is read."""
    written = tuple(dict.fromkeys(table for task in plan.tasks for table in tables_written(task)))
    beginnings = tuple(dict.fromkeys(begin for task in plan.tasks for begin in beginnings_written(task)))
    known = _Written()
    known.add(written, beginnings)
    read = {}
    for task in plan.tasks:
        for each in reads_of(task):
            place = (*task.loc, *each.key)
            if not each.is_external and (place, each.check) not in read and not known.has(each.table):
                read[place, each.check] = each.table, plan.places.fault(place, *_words(each))
    return TablesUsed(str(plan.storage), written, beginnings, tuple(read.values()))


def unwritten_tables(uses: Iterable[TablesUsed]) -> dict[Path, list[Fault]]:
    """Return the faults of files with a task that reads a table that no pipeline of the same lake writes."""
    uses = list(uses)
    lakes: dict[str, _Written] = defaultdict(_Written)
    for use in uses:
        lakes[use.lake].add(use.written, use.beginnings)
    faults: dict[Path, list[Fault]] = defaultdict(list)
    for use in uses:
        for table, fault in use.read:
            if not lakes[use.lake].has(table):
                meant = did_you_mean(table, lakes[use.lake].names)
                hint = f"{meant} Otherwise {fault.hint}" if meant else fault.hint
                faults[fault.path].append(replace(fault, hint=hint))
    return faults


class _Written:
    """The tables that tasks write into one lake."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.beginnings: set[str] = set()
        self._answers: dict[str, bool] = {}

    def add(self, names: Iterable[str], beginnings: Iterable[str]) -> None:
        self.names.update(dict.fromkeys(names))
        self.beginnings.update(beginnings)

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


def _words(read: TableRead) -> tuple[str, str]:
    message = table_order.unwritten(read.verb, read.table, is_pattern=is_pattern(read.table))
    return message, table_order.elsewhere(read.as_external)
