"""
Delta tables in folders, without a JVM: `bronze/orders` is the folder `<storage>/bronze/orders`.

Every write is one Delta commit: it replaces a partition (`_wall_slice`) and records what it was about (ownership.py).
"""

from __future__ import annotations

import difflib
import fnmatch
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from airflow_wall import duck
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.storage.base import HIDDEN, SLICE, SOURCE, STATE, Commit, Files, SourceVersion, check_name
from airflow_wall.storage.columns import fit, storable
from airflow_wall.storage.ownership import Overlap, State, dataset_of, digest, schema_of

ATTEMPTS = 12
"""How often a writer that lost a race begins again before it gives up."""

_LISTED = 12


class DeltaStore:
    """Tables below one folder. See `TableStore` for what each method does."""

    def __init__(self, storage: Path, fence: Callable[[], None] = lambda: None) -> None:
        self._storage = storage
        self._fence = fence

    def names(self, pattern: str) -> list[str]:
        """The tables that a name or a pattern means."""
        if not any(sign in pattern for sign in "*?["):
            check_name(pattern)
            if self.exists(pattern):
                return [pattern]
            raise self._missing(pattern)
        every = self._all()
        found = [name for name in every if _matches(name, pattern)]
        if not found:
            raise DataError(f"no table in `{self._storage}` matches `{pattern}`: there {_are(every)}")
        return found

    def exists(self, table: str) -> bool:
        """Whether the table has a commit."""
        return self._open(table) is not None

    def version(self, table: str) -> int:
        """Version of the newest commit."""
        return int(self._opened(table).version())

    def schema(self, table: str) -> pa.Schema:
        """The columns that are not hidden."""
        schema = schema_of(self._opened(table))
        return pa.schema([field for field in schema if field.name not in HIDDEN])

    def slices(self, table: str) -> list[str]:
        """The slices that have rows, from the names of the files alone: the slice is the partition."""
        values = {partition[SLICE] for partition in self._opened(table).partitions()}
        return sorted(value for value in values if value is not None)

    def read(
        self,
        table: str,
        *,
        slices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        hidden: bool = False,
    ) -> pa.Table:
        """Rows, ordered by slice and file."""
        source = dataset_of(self._opened(table))
        names = [name for name in source.schema.names if hidden or name not in HIDDEN]
        unknown = [name for name in columns or () if name not in source.schema.names]
        if unknown:
            raise DataError(f"table `{table}` has no column `{unknown[0]}`{_known(unknown[0], names)}")
        only = _of(slices)
        wanted = list(columns) if columns is not None else names
        if where is None:
            return source.to_table(columns=wanted, filter=only)
        rows = source.to_table(filter=only)
        return _filtered(rows, where, table).select(wanted)

    def files(self, table: str, *, slices: Sequence[str] | None = None) -> Files:
        """The files of these slices: the slice is the partition, so each file is of one."""
        source = dataset_of(self._opened(table))
        paths = [self._folder(table) / fragment.path for fragment in source.get_fragments(filter=_of(slices))]
        return Files(tuple(paths), pa.schema([field for field in source.schema if field.name not in HIDDEN]))

    def held_elsewhere(self, table: str, sources: Sequence[SourceVersion], *, slice_id: str) -> list[SourceVersion]:
        """The source versions whose rows another slice holds."""
        handle = self._open(table)
        return [] if handle is None else State(handle).overlap(sources, slice_id, pa.table({})).same

    def owner(self, table: str, source: SourceVersion) -> int | None:
        """Return the number of the slice that took this version of the source last, or None."""
        handle = self._open(table)
        return None if handle is None else State(handle).owner(source)

    def replace_slice(
        self,
        table: str,
        data: pa.Table,
        *,
        slice_id: str,
        number: int,
        sources: Sequence[SourceVersion] = (),
    ) -> Commit:
        """Replace the rows of one slice."""
        rows = storable(data, table=table)
        before: list[int | None] = []
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = State(self._open(table))
            overlap = state.overlap(sources, slice_id, rows)
            kept = rows if not overlap.same else rows.filter(_not_from(overlap.same))
            wanted = digest(kept, sources)
            committed = state.get(state.slice_key(slice_id))
            before.append(committed)
            raced = committed is not None and committed != before[0]
            if raced or (committed == wanted and not overlap.older):
                return Commit(table, state.version, state.count(slice_id), changed=False)
            if state.handle is None and not kept.schema.names:
                return Commit(table, -1, 0, changed=False)
            claims = {state.slice_key(slice_id): wanted, **state.claims(sources, overlap.same, number)}
            whole = _with_slice(fit(kept, state.schema, table=table), slice_id)
            if self._commit(table, state, whole, claims, _predicate(slice_id, overlap)):
                return Commit(table, self.version(table), kept.num_rows, changed=True)
        raise _lost(table)

    def replace_table(self, table: str, data: pa.Table) -> Commit:
        """Replace all rows and the schema."""
        rows = storable(data.drop_columns([SLICE]) if SLICE in data.column_names else data, table=table)
        wanted = digest(rows, ())
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = State(self._open(table))
            if state.get("table") == wanted:
                return Commit(table, state.version, rows.num_rows, changed=False)
            claims = {"table": wanted, "epoch": state.version + 2}
            if self._commit(table, state, _with_slice(rows, None), claims, None):
                return Commit(table, self.version(table), rows.num_rows, changed=True)
        raise _lost(table)

    def _commit(self, table: str, state: State, rows: pa.Table, claims: dict[str, int], predicate: str | None) -> bool:
        """Write one commit. Return False where another writer came first."""
        empty = [field.name for field in rows.schema if pa.types.is_null(field.type)]
        if empty:
            raise DataError(
                f"column `{empty[0]}` of the rows for table `{table}` has no value and no type",
                hint=f"give it one: `CAST({empty[0]} AS DOUBLE) AS {empty[0]}`",
            )
        folder = self._folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        # Of two processes that create a table, Delta would put the second's commit after the first's without looking at
        # it, unless told not to try again. Later commits are checked against each other each time.
        properties = CommitProperties(
            app_transactions=[Transaction(name, value) for name, value in claims.items()],
            max_commit_retries=0 if state.handle is None else None,
        )
        options: dict[str, Any] = {"predicate": predicate} if state.handle is not None and predicate else {}
        whole = predicate is None and state.handle is not None
        self._fence()  # after `state` was read: whoever passes it between here and the commit wins that race
        try:
            write_deltalake(
                state.handle if state.handle is not None else folder.as_uri(),
                rows,
                mode="overwrite" if state.handle is not None else "error",
                partition_by=[SLICE],
                schema_mode="overwrite" if whole else "merge",
                commit_properties=properties,
                **options,
            )
        except CommitFailedError:
            return False
        except DeltaError as error:
            if state.handle is None and self._open(table) is not None:
                return False  # another process created it meanwhile
            raise DataError(f"table `{table}` could not be written: {error}") from error
        return True

    def _folder(self, table: str) -> Path:
        return self._storage.joinpath(*check_name(table).split("/"))

    def _open(self, table: str) -> DeltaTable | None:
        folder = self._folder(table)
        if not (folder / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(folder.as_uri())
        except TableNotFoundError:
            return None  # a first writer was killed before its commit
        except DeltaError as error:
            raise DataError(
                f"table `{table}` in `{folder}` cannot be read: {error}", hint="restore the folder from a backup"
            ) from error

    def _opened(self, table: str) -> DeltaTable:
        handle = self._open(table)
        if handle is None:
            raise self._missing(table)
        return handle

    def _missing(self, table: str) -> DataError:
        every = self._all()
        near = difflib.get_close_matches(table, every, n=1)
        return DataError(
            f"there is no table `{table}` in `{self._storage}`: there {_are(every)}",
            hint=f"did you mean `{near[0]}`?" if near else "run the task that writes it first",
        )

    def _all(self) -> list[str]:
        found = []
        for folder, below, _ in os.walk(self._storage):
            path = Path(folder)
            if path == self._storage:
                below[:] = [name for name in below if name != STATE]
            elif "_delta_log" in below:
                found.append(path.relative_to(self._storage).as_posix())
                below.clear()  # a table holds no tables
        return sorted(found)


def _of(slices: Sequence[str] | None) -> pc.Expression | None:
    """The condition of rows of these slices; rows without a slice belong to every slice."""
    return None if slices is None else pc.field(SLICE).isin(list(slices)) | pc.field(SLICE).is_null()


def _predicate(slice_id: str, overlap: Overlap) -> str:
    return " OR ".join([f"{SLICE} = {duck.literal(slice_id)}", *overlap.older])


def _not_from(sources: Iterable[SourceVersion]) -> pc.Expression:
    return ~pc.field(SOURCE).isin([source.uri for source in sources])


def _with_slice(rows: pa.Table, slice_id: str | None) -> pa.Table:
    # In one chunk, because Delta writes chunks side by side and in any order.
    others = (rows.drop_columns([SLICE]) if SLICE in rows.column_names else rows).combine_chunks()
    return others.append_column(pa.field(SLICE, pa.string()), pa.array([slice_id] * rows.num_rows, pa.string()))


def _filtered(rows: pa.Table, where: str, table: str) -> pa.Table:
    columns = [name for name in rows.column_names if name not in HIDDEN]
    with duck.connect() as database:
        database.register("rows", rows)
        duck.seal(database)
        try:
            query = f"SELECT * FROM rows WHERE ({where}\n)"  # noqa: S608
            if (other := duck.not_one_query(database, query)) is not None:
                raise duckdb.ParserException(f"it makes {other} of one query")
            kept: pa.Table = database.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(
                f"`{where}` is no condition on table `{table}`: {duck.reason(error)}",
                hint="write a SQL condition on its columns: " + ", ".join(columns[:_LISTED]),
            ) from error
    return kept


def pause(attempt: int) -> None:
    """Wait a little, longer and more at random each time, so that writers that meet do not meet again."""
    if attempt:
        time.sleep(random.uniform(0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311


def _lost(table: str) -> Interrupted:
    return Interrupted(f"table `{table}`: other writers came first {ATTEMPTS} times; nothing of this try was written")


def _matches(name: str, pattern: str) -> bool:
    parts, signs = name.split("/"), pattern.split("/")
    return len(parts) == len(signs) and all(map(fnmatch.fnmatchcase, parts, signs))


def _are(names: Sequence[str]) -> str:
    if not names:
        return "are no tables yet"
    return "are " + ", ".join(f"`{name}`" for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _known(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return (f", did you mean `{near[0]}`?" if near else "") + " (it has: " + ", ".join(names) + ")"
