"""
Check that a task reads no table before the tasks of its pipeline that write and check it.

`airflow-wall validate` checks this in the file. Here it is checked again with names that are known only when the task
runs, and for pipelines in Python: the lake knows the tasks that have written a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_wall.diagnostics import table_order as words
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError, SpecError
from airflow_wall.job import Run, TableOrder, TableRead
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore
from airflow_wall.storage.owners import Owners
from airflow_wall.storage.verdicts import Verdicts
from airflow_wall.text.table_names import REJECTED, matches_table


def check_order(run: Run, order: TableOrder) -> None:
    """
    Check the order of a task before it reads its tables.

    :raises SpecError: it does not wait for a task that writes or checks one of them, or no task has written one.
    """
    tables = open_tables(run.storage)
    check = _Check(run, order, tables, Owners(run.storage, tables), Verdicts(run.storage, tables))
    for read in order.reads:
        check.writers(read)
        check.checkers(read)


class _Check:
    def __init__(self, run: Run, order: TableOrder, tables: TableStore, owners: Owners, verdicts: Verdicts) -> None:
        self.run = run
        self.order = order
        self.tables = tables
        self.owners = owners
        self.verdicts = verdicts

    def writers(self, read: TableRead) -> None:
        if read.external:
            return
        others = self.order.others
        late = {task for task, target in others.items() if target is not None and matches_table(target, read.table)}
        is_own, unwritten = False, None
        for table in self._present(read.table):
            writers = self._writers(table)
            if not writers:
                unwritten = unwritten or table
            tasks = set(self._own_tasks(writers))
            late |= tasks & others.keys()
            is_own |= self.run.task in tasks
        if late or is_own:
            raise self._error(read, sorted(late), "write", words.earlier_rows(_external(read)))
        if unwritten is not None:
            raise _error(read, words.unwritten(read.verb, unwritten), words.elsewhere(_external(read)))

    def checkers(self, read: TableRead) -> None:
        possible = read.possible_checkers and self.verdicts.tasks(self.run.pipeline, read.table)
        late = sorted({*read.checkers, *(task for task in read.possible_checkers if task in possible)})
        if late:
            after = [task for task in late if task in self.order.after]
            raise self._error(read, late, "check", words.no_gate(after) if after else None)

    def _present(self, pattern: str) -> Sequence[str]:
        try:
            return self.tables.names(pattern)
        except DataError:
            return ()  # the job itself reports a missing table

    def _writers(self, table: str) -> list[str]:
        return self.owners.writers(table) or (
            self.owners.writers(table.removesuffix(REJECTED)) if table.endswith(REJECTED) else []
        )

    def _own_tasks(self, writers: Iterable[str]) -> Iterable[str]:
        """Yield the tasks of this pipeline among writers, without the indexes of mapped ones."""
        for writer in writers:
            if writer.startswith(f"{self.run.pipeline}."):
                task = writer.removeprefix(f"{self.run.pipeline}.")
                group, _, index = task.rpartition(".")
                yield group if index.isdecimal() and group else task

    def _error(self, read: TableRead, late: Sequence[str], action: str, hint: str | None) -> SpecError:
        message = words.early(read.verb, read.table, late, action, self.order.after)
        hints = [f"let {listed(late, words.LISTED)} come before it"] if late else []
        return _error(read, message, "; or ".join([*hints, *([hint] if hint else [])]))


def _error(read: TableRead, message: str, hint: str) -> SpecError:
    return SpecError(f"`{read.key}` {message}", hint=hint)


def _external(read: TableRead) -> str:
    if read.key == "table":
        return "external: true"
    return f"{read.key.rpartition('.')[2]}: {{table: {read.table}, external: true}}"
