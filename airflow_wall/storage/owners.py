"""
The owner of each table: the one task that may write it, unless its writers share it.

The first task that writes a table owns it. Another task is rejected, because it would replace rows of the same slice.
If both tasks say `share: true`, the rows of a slice are kept apart by writer. Rows of the owner, and rows that an older
airflow-wall wrote, have no writer in their slice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Run
from airflow_wall.lake.documents import Document, change
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import TableStore

_CONFIRMED = "confirmed"
"""Key that is false in a document from before its table existed: the first commit of the table then names the owner."""

_SHARERS = "sharers"
"""Key with the tasks that share the table with its owner, without the indexes of mapped ones."""

_INSTANCES = 50
"""Number of slices for which the instance of a mapped task is remembered."""


class Owners:
    """
    The owners of the tables of one lake.

    :param lake: The lake.
    :param tables: The tables of the lake.
    """

    def __init__(self, lake: Lake, tables: TableStore) -> None:
        self._documents = lake.documents("owners")
        self._tables = tables

    def owner(self, table: str) -> str | None:
        """Return the owner of a table as `PIPELINE.TASK`, or None if no task has written it."""
        read = self._documents.read(_key(table))
        return None if read is None else str(self._confirmed(table, read[0])["owner"])

    def writers(self, table: str) -> list[str]:
        """Return the tasks that have written a table, each as `PIPELINE.TASK`; empty if no task has."""
        read = self._documents.read(_key(table))
        if read is None:
            return []
        document = self._confirmed(table, read[0])
        return [str(document["owner"]), *document.get(_SHARERS, ())]

    def claim(self, table: str, run: Run, *, share: bool) -> Claim:
        """
        Return the claim of a task on a table. The first task becomes its owner.

        A claim on a table that does not exist is not kept for its owner: the task that creates the table owns it.

        :param share: True if the step says `share: true`.
        :raises DataError: another task owns the table.
        """
        writer = writer_name(run, share=share)

        def claimed(old: Document | None) -> Document:
            exists = self._tables.exists(table)
            if old is not None and exists:
                old = self._confirmed(table, old)
            if old is None or (not exists and old["owner"] != writer and not (share and old["shared"])):
                old = {"owner": writer, "shared": share, "instances": {}}
            if old["owner"] == writer:
                instances = _instances(old, table, run, share=share)
                return {**old, "shared": share, "instances": instances, _CONFIRMED: exists}
            if not (share and old["shared"]):
                raise _rejected(table, run, writer, old, share=share)
            task = writer_name(run, share=False)
            return {**old, _SHARERS: sorted({*old.get(_SHARERS, ()), task})}

        owner = change(self._documents, _key(table), claimed)["owner"]
        note = {"owner": owner, "shared": str(share).lower()}
        return Claim(None if owner == writer else writer, lambda: self._check(table, owner), note)

    def take_over(self, table: str, owner: str) -> str | None:
        """Make a task, `PIPELINE.TASK`, the owner of a table. Return the owner before."""
        before = self.owner(table)
        change(
            self._documents,
            _key(table),
            lambda old: {**(old or {"shared": False}), "owner": owner, "instances": {}, _CONFIRMED: True},
        )
        return before

    def _confirmed(self, table: str, document: Document) -> Document:
        """Return the document with the task that created the table, if it was written before the table existed."""
        if document.get(_CONFIRMED, True) or not self._tables.exists(table):
            return document
        note = self._tables.created_by(table)
        if note.get("owner", document["owner"]) != document["owner"]:
            document = {**document, "owner": note["owner"], "shared": note["shared"] == "true", "instances": {}}
        return {**document, _CONFIRMED: True}

    def _check(self, table: str, expected: str) -> None:
        owner = self.owner(table)
        if owner != expected:
            raise Interrupted(
                f"table `{table}` was taken over by `{owner}` while this task was running; nothing was written"
            )


class Claim:
    """
    The right of a task to write a table.

    :param writer: The writer in the slices of a shared table; None for the owner.
    :param check: Raises if another task has become the owner since. It is called before each commit.
    :param note: Note for the first commit of the table, by which its creator is its owner.
    """

    def __init__(self, writer: str | None, check: Callable[[], None], note: Mapping[str, str]) -> None:
        self.writer = writer
        self.check = check
        self.note = note

    def fence(self, fence: Callable[[], None]) -> Callable[[], None]:
        """Return the check of both: of a fence, and of the owner."""

        def both() -> None:
            fence()
            self.check()

        return both


def writer_name(run: Run, *, share: bool) -> str:
    """Return `PIPELINE.TASK`. The instances of a mapped task are writers of their own in a shared table."""
    return f"{run.pipeline}.{run.task_id if share else run.task}"


def _instances(old: Document, table: str, run: Run, *, share: bool) -> dict[str, int]:
    """Return slice -> the instance of a mapped task that writes it; reject a second instance."""
    instances = dict(old.get("instances", {}))
    if share or run.map_index < 0:
        return instances
    other = instances.pop(run.slice.id, run.map_index)
    if other != run.map_index:
        raise DataError(
            f"table `{table}` is written by instance {other} of the mapped task `{run.task}` in slice "
            f"`{run.slice.id}`, and instance {run.map_index} would replace its rows",
            hint="give each instance another `target`, or write `share: true`",
        )
    instances[run.slice.id] = run.map_index
    return dict(list(instances.items())[-_INSTANCES:])


def _rejected(table: str, run: Run, writer: str, old: Document, *, share: bool) -> DataError:
    owner = old["owner"]
    if share:
        return DataError(
            f"table `{table}` belongs to `{owner}`, which does not share it; `{writer}` may not write it",
            hint=f"write `share: true` in `{owner}` too, and run it first",
        )
    return DataError(
        f"table `{table}` belongs to `{owner}`; `{writer}` may not write it, because it would replace its rows",
        hint="write another `target`; or write `share: true` in both tasks, if their rows belong together; or, if "
        f"`{owner}` was renamed, take the table over: "
        f"`airflow-wall own {table} {writer} --storage {run.storage}`",
    )


def _key(table: str) -> str:
    return f"{table}.json"
