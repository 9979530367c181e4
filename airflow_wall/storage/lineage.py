"""
The rows that each slice of a computed table was made from, so that slices whose inputs have changed can be named.

Each write of `transform` and `predict` records one document: the digest of the written rows, and those of the rows that
were read. A slice is stale if its inputs have other digests now. It is also stale if it holds other rows than the
recorded ones, because a write that was killed before its record may have read anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError
from airflow_wall.job import Run
from airflow_wall.lake.documents import Document, Documents, change
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import ALL, Commit, Contents, TableStore, slice_in
from airflow_wall.text.table_names import matches_table

_LISTED = 4


@dataclass(frozen=True, order=True)
class TablePart:
    """
    A slice of a table, or a whole table.

    :param partition: The slice, with its writer in a shared table; None for a table that is computed as a whole.
    """

    table: str
    partition: str | None

    @property
    def slice(self) -> str | None:
        """The slice; None for a table that is computed as a whole."""
        return None if self.partition is None else slice_in(self.partition)


@dataclass(frozen=True)
class StalePart:
    """
    A part whose inputs have changed since it was computed.

    :param pipeline: The pipeline that computed it.
    :param task: The task that computed it.
    :param run_slice: The slice of the run that computed it, which computes it again.
    """

    part: TablePart
    pipeline: str
    task: str
    run_slice: str


@dataclass(frozen=True)
class Reading:
    """
    Digests of the rows that a step reads, taken before it reads them.

    Rows that are written in between make the digests old, so the result counts as stale.

    :param inputs: Name -> table or pattern of tables.
    :param contents: Table -> digest of the rows.
    """

    inputs: Mapping[str, str]
    contents: Mapping[str, str]


class Lineage:
    """
    The records of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake, tables: TableStore) -> None:
        self._documents = lake.documents("lineage")
        self._tables = tables

    def reading(self, inputs: Mapping[str, str], slices: Sequence[str] | None) -> Reading:
        """
        Return the digests of the rows that a step is about to read.

        :param inputs: Name -> table or pattern of tables.
        :param slices: The slices that it reads; None for all.
        """
        return Reading(inputs, _Snapshot(self._tables).read(inputs.values(), slices))

    def record(self, run: Run, commit: Commit, reading: Reading, *, partition: str | None) -> None:
        """
        Record the inputs of rows that have been committed. Rows of another try are recorded by that try.

        :param partition: The slice, with its writer in a shared table; None for a table that is computed as a whole.
        """
        if commit.content is None:
            return
        document = {
            "content": commit.content,
            "inputs": dict(reading.inputs),
            "read": dict(reading.contents),
            "pipeline": run.pipeline,
            "task": run.task_id,
            "slice": run.slice.id,
        }
        change(self._documents, _key(TablePart(commit.table, partition)), lambda _: document)

    def stale(self, *, pipeline: str | None = None) -> list[StalePart]:
        """Return all stale parts, or those that one pipeline has computed, sorted."""
        return self._stale_of(self._parts(), pipeline)

    def stale_of(self, table: str) -> list[StalePart]:
        """Return the stale parts of one table."""
        return self._stale_of([part for part in self._parts() if part.table == table], None)

    def makers(self, table: str) -> frozenset[tuple[str, str]]:
        """Return pipeline and slice of the runs that computed the rows of a table."""
        documents = self._read(part for part in self._parts() if part.table == table)
        return frozenset((str(document["pipeline"]), str(document["slice"])) for document in documents)

    def related(self, table: str) -> list[str]:
        """Return the sorted tables that are computed from a table, or that it is computed from, at any distance."""
        edges = {(part.table, text) for part, text in self._inputs()}
        known = {part for part, _ in edges} | {table}
        related, before = {table}, set[str]()
        while related != before:
            before = set(related)
            for target, text in edges:
                inputs = {name for name in {*known, *self._tables.tables()} if matches_table(name, text)}
                if target in related or inputs & related:
                    related |= {target, *inputs}
        return sorted(related)

    def _inputs(self) -> Iterator[tuple[TablePart, str]]:
        for part in self._parts():
            read = self._documents.read(_key(part))
            for text in [] if read is None else read[0]["inputs"].values():
                yield part, text

    def run_slices(self, pipeline: str) -> list[str]:
        """Return the sorted slices of the runs by which a pipeline has computed rows."""
        documents = self._read(self._parts())
        return sorted({str(document["slice"]) for document in documents if document["pipeline"] == pipeline})

    def stale_in(self, slices: Iterable[str]) -> list[StalePart]:
        """Return the stale parts among these slices of all tables, and among the tables computed as a whole."""
        wanted = {None, *slices}
        return self._stale_of([part for part in self._parts() if part.slice in wanted], None)

    def _read(self, parts: Iterable[TablePart]) -> Iterator[Document]:
        documents = (self._documents.read(_key(part)) for part in parts)
        return (read[0] for read in documents if read is not None)

    def _parts(self) -> list[TablePart]:
        return sorted(map(_part, self._documents.below()), key=lambda part: (part.table, part.partition or ""))

    def _stale_of(self, parts: Iterable[TablePart], pipeline: str | None) -> list[StalePart]:
        check = _Check(self._documents, self._tables, self._parts())
        found = []
        for part in parts:
            document = check.document(part)
            if document is not None and pipeline in (None, document["pipeline"]) and check.is_stale(part):
                found.append(StalePart(part, document["pipeline"], document["task"], document["slice"]))
        return found


class _Snapshot:
    """Digests of tables. Each table is opened once."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._contents: dict[str, Contents] = {}

    def of(self, table: str) -> Contents:
        if table not in self._contents:
            self._contents[table] = self._tables.contents(table)
        return self._contents[table]

    def names(self, patterns: Iterable[str]) -> list[str]:
        names: set[str] = set()
        for pattern in patterns:
            try:
                names.update(self._tables.names(pattern))
            except DataError:
                continue  # no table matches
        return sorted(names)

    def read(self, patterns: Iterable[str], slices: Sequence[str] | None) -> dict[str, str]:
        contents = {table: self.of(table).of(slices) for table in self.names(patterns)}
        return {table: content for table, content in contents.items() if content}


class _Check:
    """Decides which parts are stale. A part is stale, too, if a part that it was made from is."""

    def __init__(self, documents: Documents, tables: TableStore, parts: Iterable[TablePart]) -> None:
        self._documents = documents
        self._snapshot = _Snapshot(tables)
        self._parts: dict[str, list[TablePart]] = {}
        for part in parts:
            self._parts.setdefault(part.table, []).append(part)
        self._known: dict[TablePart, bool] = {}
        self._read: dict[TablePart, Document | None] = {}

    def document(self, part: TablePart) -> Document | None:
        if part not in self._read:
            read = self._documents.read(_key(part))
            self._read[part] = None if read is None else read[0]
        return self._read[part]

    def is_stale(self, part: TablePart) -> bool:
        if part not in self._known:
            self._known[part] = False  # a table that is its own input adds nothing
            self._known[part] = self._decide(part)
        return self._known[part]

    def _decide(self, part: TablePart) -> bool:
        document = self.document(part)
        if document is None:
            return False
        held = self._snapshot.of(part.table).slice(part.partition)
        if held == 0 and document["content"] != 0:
            return False  # it does not exist any more
        slices = None if part.slice is None else [part.slice]
        patterns = document["inputs"].values()
        read = self._snapshot.read(patterns, slices)
        if held != document["content"] or _without(part.table, read) != _without(part.table, document["read"]):
            return True
        return any(
            self.is_stale(made)
            for table in self._snapshot.names(patterns)
            for made in self._parts.get(table, ())
            if part.slice is None or made.slice in (None, part.slice)
        )


def _without(table: str, contents: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in contents.items() if name != table}


def slices_by_table(parts: Iterable[StalePart]) -> dict[str, list[str]]:
    """Return table -> its stale slices. A table that is computed as a whole has the slice `all`."""
    tables: dict[str, list[str]] = {}
    for stale in parts:
        slices = tables.setdefault(stale.part.table, [])
        if (name := stale.part.slice or ALL) not in slices:  # several writers may share it
            slices.append(name)
    return tables


def describe_stale(parts: Iterable[StalePart]) -> list[str]:
    """Return one text per table with stale slices, e.g. `silver/t: 20130701T000000Z and 3 more`."""
    return [f"{table}: {listed(slices, _LISTED)}" for table, slices in sorted(slices_by_table(parts).items())]


def _key(part: TablePart) -> str:
    return f"whole/{part.table}.json" if part.partition is None else f"slices/{part.partition}/{part.table}.json"


def _part(key: str) -> TablePart:
    kind, _, rest = key.removesuffix(".json").partition("/")
    if kind == "whole":
        return TablePart(rest, None)
    partition, _, table = rest.partition("/")
    return TablePart(table, partition)
