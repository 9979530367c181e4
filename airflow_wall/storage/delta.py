"""
Delta tables in directories, without a JVM: `bronze/orders` is the directory `<storage>/bronze/orders`.

Every write is one Delta commit: it replaces a partition (`_wall_slice`) and records the versions of its sources
(ownership.py).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import date_of_slice
from airflow_wall.state import write_bytes
from airflow_wall.storage.base import (
    ALL,
    HIDDEN,
    SLICE,
    SOURCE,
    Commit,
    Files,
    SourceVersion,
    TableSummary,
    check_name,
    partition_of,
    slice_in,
)
from airflow_wall.storage.columns import convert, fit, to_storable, without_rows
from airflow_wall.storage.contract import Contract, Contracts
from airflow_wall.storage.ownership import (
    WHOLE,
    Overlap,
    TableContents,
    TableState,
    content_of,
    dataset_of,
    digest,
    partitions_of,
    schema_of,
)
from airflow_wall.storage.purge import purge
from airflow_wall.storage.scan import DataFile, RowKey, Scan
from airflow_wall.text.reserved import STATE, reserved_part
from airflow_wall.text.table_names import REJECTED, is_pattern, matches_table

_KEPT = 7 * 24 * 3600
"""Seconds for which a file with current rows is kept for jobs that read it."""

_CREATED_BY = "airflowWallCreatedBy"
"""Key of the note in the first commit of a table."""

_IS_BESIDE = "beside"
"""Transaction that marks a table of bad rows: the table of the good rows says which version of it readers see."""

_REJECTED_COUNT = "rejected"
"""Transaction of a table: the number of commits of its table of bad rows that readers see."""

ATTEMPTS = 12
"""Number of times that a writer tries to commit before it gives up."""


class DeltaStore:
    """Delta tables below one directory. See `TableStore` for the contract of each method."""

    def __init__(
        self, storage: Path, fence: Callable[[], None] = lambda: None, created_by: Mapping[str, str] | None = None
    ) -> None:
        self._storage = storage.absolute()
        self._fence = fence
        self._created_by = created_by

    def names(self, pattern: str) -> list[str]:
        """Return the tables that match a name or a pattern."""
        if not is_pattern(pattern):
            check_name(pattern)
            if self.exists(pattern):
                return [pattern]
            raise self._missing(pattern)
        tables = self._all()
        matches = [
            name
            for name in tables
            if matches_table(name, pattern) and (not name.endswith(REJECTED) or self.exists(name))
        ]
        if not matches:
            raise DataError(
                f"no table in `{self._storage}` matches `{pattern}`: {_describe_tables(tables)}",
                hint="correct the pattern, or run the tasks that write these tables first",
            )
        return matches

    def tables(self) -> list[str]:
        """Return the tables that readers see."""
        return [name for name in self._all() if not name.endswith(REJECTED) or self.exists(name)]

    def summary(self, table: str) -> TableSummary:
        """Return the summary of the files of the newest version."""
        handle = self._opened(table)
        files = pa.table(handle.get_add_actions(flatten=True))
        rows: dict[str, int] = {}
        partition = f"partition.{SLICE}"
        names = files.column(partition).to_pylist() if partition in files.column_names else [None] * files.num_rows
        for name, count in zip(names, files.column("num_records").to_pylist(), strict=True):
            slice_id = ALL if name is None else slice_in(name)
            rows[slice_id] = rows.get(slice_id, 0) + int(count or 0)
        newest = _commits(handle, 1)
        size = sum(int(size or 0) for size in files.column("size_bytes").to_pylist())
        return TableSummary(int(handle.version()), dict(sorted(rows.items())), size, newest[0][1] if newest else "")

    def commits(self, table: str, limit: int) -> list[tuple[int, str, str]]:
        """Return the newest commits."""
        return _commits(self._opened(table), limit)

    def exists(self, table: str) -> bool:
        """Return True if the table has a commit."""
        return self._open_visible(table) is not None

    def created_by(self, table: str) -> Mapping[str, str]:
        """Return the note in the first commit of the table."""
        handle = self._open(table)
        commits = [] if handle is None else handle.history()  # of an older version, `history` numbers commits wrongly
        first = next((commit for commit in commits if commit.get("version") == 0), {})  # old logs are removed
        note = first.get(_CREATED_BY)
        return json.loads(note) if isinstance(note, str) else {}

    def version(self, table: str) -> int:
        """Return the version of the newest commit."""
        return int(self._opened(table).version())

    def schema(self, table: str) -> pa.Schema:
        """Return the columns that are not hidden."""
        schema = schema_of(self._opened(table))
        return pa.schema([field for field in schema if field.name not in HIDDEN])

    def slices(self, table: str) -> list[str]:
        """Return the slices that have rows."""
        return sorted({slice_in(partition) for partition in partitions_of(self._opened(table), None)})

    def read(
        self,
        table: str,
        *,
        slices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        hidden: bool = False,
    ) -> pa.Table:
        """Return rows, ordered by slice and file."""
        return self.scan(table, slices=slices, columns=columns, where=where, hidden=hidden).to_table()

    def scan(
        self,
        table: str,
        *,
        slices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        hidden: bool = False,
    ) -> Scan:
        """Return rows as a query over the files, ordered by slice and file."""
        handle = self._opened(table)
        schema = schema_of(handle)
        names = [name for name in schema.names if hidden or name not in HIDDEN]
        unknown = [name for name in columns or () if name not in schema.names]
        if unknown:
            raise _no_column(table, unknown[0], names)
        files = _data_files(handle, self._folder(table), slices)
        key = self._key(table)
        orders = None if key is None else _orders(handle)
        return Scan(table, files, schema, tuple(names if columns is None else columns), where, key, orders)

    def files(self, table: str, *, slices: Sequence[str] | None = None) -> Files:
        """Return the files of these slices. The slice is the partition, so each file belongs to one slice."""
        handle = self._opened(table)
        source = dataset_of(handle)
        if self._key(table) is not None:
            return self._current_files(table, int(handle.version()), slices)
        fragments = source.get_fragments(filter=_in_slices(handle, slices))
        paths = [self._folder(table) / fragment.path for fragment in fragments]
        return Files(tuple(paths), pa.schema([field for field in source.schema if field.name not in HIDDEN]))

    def _key(self, table: str) -> RowKey | None:
        recorded = Contracts(self._storage / STATE).read(table)
        contract = Contract() if recorded is None else recorded[0]
        return RowKey(contract.key, contract.order_by) if contract.key else None

    def _current_files(self, table: str, version: int, slices: Sequence[str] | None) -> Files:
        """Return a file with the current rows of a table with a key. Each version of the table makes one of its own."""
        rows = self.read(table, slices=slices)
        folder = self._storage / STATE / "current" / table
        chosen = hashlib.sha256("\0".join(sorted(slices or ())).encode()).hexdigest()[:16]
        path = folder / f"{version}-{'all' if slices is None else chosen}.parquet"
        if not path.exists():
            content = pa.BufferOutputStream()
            pq.write_table(rows, content)
            write_bytes(path, content.getvalue().to_pybytes())
            for other in folder.glob("*.parquet"):
                if time.time() - other.stat().st_mtime > _KEPT:
                    other.unlink(missing_ok=True)
        return Files((path,), rows.schema)

    def held_elsewhere(
        self, table: str, sources: Sequence[SourceVersion], *, slice_id: str, writer: str | None = None
    ) -> dict[SourceVersion, str]:
        """Return the source versions whose rows are in another slice, or are those of another writer."""
        state = TableState(self._open(table))
        same = state.overlap(sources, partition_of(slice_id, writer), {}).same
        return {source: slice_in(partition) for source, partition in same.items()}

    def contents(self, table: str) -> TableContents:
        """Return the digests of the newest version."""
        return TableContents(TableState(self._open_visible(table)))

    def owner(self, table: str, source: SourceVersion) -> int | None:
        """Return the number of the slice that last claimed this version of the source, or None."""
        handle = self._open(table)
        return None if handle is None else TableState(handle).owner(source)

    def replace_slice(
        self,
        table: str,
        data: pa.Table,
        *,
        slice_id: str,
        number: int,
        sources: Sequence[SourceVersion] = (),
        retype: bool = False,
        homes: Mapping[str, str] | None = None,
        writer: str | None = None,
        order: int | None = None,
        rejected: pa.Table | None = None,
    ) -> Commit:
        """Replace the rows of one slice."""
        replace = functools.partial(
            self._replace_slice,
            slice_id=partition_of(slice_id, writer),
            number=number,
            sources=sources,
            retype=retype,
            homes={uri: partition_of(home, writer) for uri, home in (homes or {}).items()},
            order=order,
        )
        beside = f"{table}{REJECTED}"
        least: dict[str, int] = {}
        if rejected is not None and (rejected.num_rows or self._open(beside) is not None):
            least[_REJECTED_COUNT] = replace(beside, rejected, least={_IS_BESIDE: 1}).version + 1
        return replace(table, data, least=least)

    def _replace_slice(
        self,
        table: str,
        data: pa.Table,
        *,
        slice_id: str,
        number: int,
        sources: Sequence[SourceVersion],
        retype: bool,
        homes: Mapping[str, str],
        order: int | None,
        least: Mapping[str, int],
    ) -> Commit:
        """
        Replace the rows of one partition.

        :param least: Transactions that the table has afterwards, with at least these values.
        """
        rows = to_storable(data, table=table)
        first: tuple[int | None, int | None] | None = None
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = TableState(self._open(table))
            overlap = state.overlap(sources, slice_id, homes)
            kept = _not_from(rows, [*(source.uri for source in overlap.same), *overlap.corrected])
            written = digest(kept, sources)
            seen = (state.get(state.slice_key(slice_id)), state.get(state.corrected_key(slice_id)))
            first = seen if first is None or first[1] != seen[1] else first
            is_raced = seen[0] is not None and seen[0] != first[0]
            if is_raced or (seen[0] == written and not overlap.elsewhere and state.fulfils(least)):
                self._fence()
                content = state.content(slice_id) or 0 if seen[0] == written else None
                return Commit(table, state.version, state.count(slice_id), False, content)
            if state.handle is None and not kept.schema.names:
                return Commit(table, -1, 0, changed=False, content=0)
            ranges = [source for source in sources if source.cursor is not None]
            parts, retyped = _parts(rows, state, overlap, slice_id, table=table, retype=retype, ranges=ranges)
            if (
                seen[0] is not None
                and not overlap.elsewhere
                and state.fulfils(least)
                and state.holds(
                    slice_id,
                    _with_slice(parts[slice_id], slice_id),
                    [s for s in sources if s not in overlap.same],
                    number,
                )
            ):  # the table's types became wider
                return Commit(table, state.version, parts[slice_id].num_rows, False, state.content(slice_id) or 0)
            content = content_of(parts[slice_id])
            claims = {state.slice_key(slice_id): written, **state.claims(sources, overlap.same, number)}
            claims |= {key: max(value, state.get(key) or 0) for key, value in least.items()}
            claims |= {state.content_key(name): content_of(part) for name, part in parts.items()}
            if order is not None:
                claims[state.order_key(slice_id)] = order
            for name in parts.keys() - {slice_id}:  # so that an equal write of that slice afterwards counts as a change
                claims |= dict.fromkeys((state.slice_key(name), state.corrected_key(name)), state.version + 1)
            new = pa.concat_tables(
                [_with_slice(part, name) for name, part in parts.items()], promote_options="default"
            ).combine_chunks()
            predicate: str | None = _predicate(parts)
            if retyped:
                new, predicate = _retyped(table, state, retyped, str(predicate), new), None
            if self._commit(table, state, new, claims, predicate):
                corrected = {slice_in(name): _uris_of(name, overlap.corrected) for name in parts.keys() - {slice_id}}
                return Commit(table, self._newest(table), parts[slice_id].num_rows, True, content, corrected)
        raise _lost(table)

    def drop_slice(self, table: str, slice_id: str) -> int:
        """Delete the rows of one slice."""
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = TableState(self._opened(table))
            assert state.handle is not None
            partitions = [part for part in partitions_of(state.handle, [slice_id]) if state.count(part)]
            if not partitions:
                return 0
            rows = sum(map(state.count, partitions))
            claims = {state.content_key(partition): 0 for partition in partitions}
            for partition in partitions:  # so that an equal write afterwards counts as a change
                claims |= dict.fromkeys((state.slice_key(partition), state.corrected_key(partition)), state.version + 1)
            empty = state.schema.empty_table()
            if self._commit(table, state, empty, claims, _predicate(partitions)):
                return rows
        raise _lost(table)

    def erase(self, table: str, keep: Callable[[pa.Table], pa.Table], keep_bad: Callable[[pa.Table], pa.Table]) -> int:
        """Erase rows of a table and of its bad rows."""
        beside, least, erased = f"{table}{REJECTED}", {}, 0
        if self._open(beside) is not None:
            erased += self._erase(beside, keep_bad, {})
            if TableState(self._open(beside)).get(_IS_BESIDE):
                least[_REJECTED_COUNT] = self._newest(beside) + 1
        if self._open(table) is not None:
            erased += self._erase(table, keep, least)
        return erased

    def _erase(self, table: str, keep: Callable[[pa.Table], pa.Table], least: Mapping[str, int]) -> int:
        """
        Write the partitions again that lose rows. Their digests stay, so that verdicts and lineage stay valid.

        :param least: Transactions that the table has afterwards, with at least these values.
        """
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = TableState(self._open(table))
            assert state.handle is not None
            source = dataset_of(state.handle)
            rows, parts, erased = source.to_table(filter=pc.field(SLICE).is_null()), {}, 0
            if (lost := rows.num_rows - keep(rows).num_rows) > 0:  # a table that is computed as a whole
                new, predicate, erased = keep(rows), None, lost
            else:
                for partition in partitions_of(state.handle, None):
                    rows = source.to_table(filter=pc.field(SLICE) == partition)
                    kept = keep(rows)
                    if kept.num_rows < rows.num_rows:
                        parts[partition] = kept
                        erased += rows.num_rows - kept.num_rows
                tables = [_with_slice(part, name) for name, part in parts.items()]
                new = pa.concat_tables(tables).combine_chunks() if tables else state.schema.empty_table()
                predicate = _predicate(parts or [""])
            if not erased and state.fulfils(least):
                return 0
            if self._commit(table, state, new, dict(least), predicate):
                return erased
        raise _lost(table)

    def purge(self, table: str) -> None:
        """Delete the older versions of a table and of its bad rows."""
        for name in (table, f"{table}{REJECTED}"):
            handle = self._open(name)
            if handle is not None:
                purge(handle, self._folder(name))
            shutil.rmtree(self._storage / STATE / "current" / name, ignore_errors=True)
            for copy in (self._storage / STATE / "replaced").glob(f"*/{name}"):
                shutil.rmtree(copy, ignore_errors=True)

    def replace_table(self, table: str, data: pa.Table) -> Commit:
        """Replace all rows and the schema."""
        rows = to_storable(data.drop_columns([SLICE]) if SLICE in data.column_names else data, table=table)
        content = digest(rows, ())
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = TableState(self._open(table))
            if state.get("table") == content:
                return Commit(table, state.version, rows.num_rows, False, content)
            epoch = state.version + 2
            claims = {"table": content, "epoch": epoch, f"content:{epoch}:{WHOLE}": content}
            if self._commit(table, state, _with_slice(rows, None), claims, None):
                return Commit(table, self._newest(table), rows.num_rows, True, content)
        raise _lost(table)

    def _commit(
        self, table: str, state: TableState, rows: pa.Table, claims: dict[str, int], predicate: str | None
    ) -> bool:
        """Write one commit. Return False if another writer committed first."""
        empty = [field.name for field in rows.schema if pa.types.is_null(field.type)]
        if empty:
            raise DataError(
                f"column `{empty[0]}` of the rows for table `{table}` must have a type, got only untyped nulls",
                hint=f"give it a type: `CAST({empty[0]} AS DOUBLE) AS {empty[0]}`",
            )
        folder = self._folder(table)
        folder.mkdir(parents=True, exist_ok=True)
        # If two processes create a table, Delta's retry appends the second commit to the first without a check for
        # conflicts. So a commit that creates the table is not retried. All later commits are checked for conflicts.
        properties = CommitProperties(
            app_transactions=[Transaction(name, value) for name, value in claims.items()],
            max_commit_retries=0 if state.handle is None else None,
            custom_metadata={_CREATED_BY: json.dumps(self._created_by)} if state.handle is None else None,
        )
        options: dict[str, Any] = {"predicate": predicate} if state.handle is not None and predicate else {}
        whole = predicate is None and state.handle is not None
        self._fence()  # after `state` was read: a writer that passes the fence later wins the race for the commit
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
                return False  # another process has created it
            raise DataError(
                f"table `{table}` in `{folder}` could not be written: {error}",
                hint="look at the directory's permissions and free space, then run the task again",
            ) from error
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
                f"table `{table}` in `{folder}` cannot be read: {error}", hint="restore the directory from a backup"
            ) from error

    def _newest(self, table: str) -> int:
        """Return the version of the newest commit of a table that exists, visible or not."""
        handle = self._open(table)
        assert handle is not None
        return int(handle.version())

    def _open_visible(self, table: str) -> DeltaTable | None:
        """Return the version of a table that readers see: of bad rows, the one that belongs to the good rows."""
        handle = self._open(table)
        if handle is None or not table.endswith(REJECTED) or not handle.transaction_version(_IS_BESIDE):
            return handle
        target = self._open(table.removesuffix(REJECTED))
        if target is None:
            return handle  # so far, no file had a row that is not bad
        count = target.transaction_version(_REJECTED_COUNT) or 0
        if 0 < count <= handle.version():
            handle.load_as_version(count - 1)
        return handle if count else None

    def _opened(self, table: str) -> DeltaTable:
        handle = self._open_visible(table)
        if handle is None:
            raise self._missing(table)
        return handle

    def _missing(self, table: str) -> DataError:
        tables = self._all()
        return DataError(
            f"there is no table `{table}` in `{self._storage}`: {_describe_tables(tables)}",
            hint=did_you_mean(table, tables) or "run the task that writes it first",
        )

    def _all(self) -> list[str]:
        tables = []
        for folder, below, _ in os.walk(self._storage):
            path = Path(folder)
            if "_delta_log" in below and path != self._storage:
                tables.append(path.relative_to(self._storage).as_posix())
                below.clear()  # tables are never nested
            below[:] = [name for name in below if reserved_part(name) is None]
        return sorted(tables)


def _data_files(handle: DeltaTable, folder: Path, slices: Sequence[str] | None) -> tuple[DataFile, ...]:
    """Return the files of a version with the rows of these slices and of all slices, in the order of the rows."""
    files = pa.table(handle.get_add_actions(flatten=True))
    partitions = files.column(f"partition.{SLICE}").to_pylist() if files.num_rows else []
    paths = [unquote(str(path)) for path in files.column("path").to_pylist()]
    counts = files.column("num_records").to_pylist() if files.num_rows else []
    wanted = None if slices is None else set(slices)
    return tuple(
        DataFile(folder / path, partition, int(rows or 0))
        for path, partition, rows in sorted(zip(paths, partitions, counts, strict=True), key=lambda file: file[0])
        if wanted is None or partition is None or slice_in(partition) in wanted
    )


def _in_slices(handle: DeltaTable, slices: Sequence[str] | None) -> pc.Expression | None:
    """Return the condition for rows of these slices. Rows without a slice belong to every slice."""
    if slices is None:
        return None
    partitions = pa.array(partitions_of(handle, slices), pa.string())
    return pc.field(SLICE).isin(partitions) | pc.field(SLICE).is_null()


def _commits(handle: DeltaTable, limit: int) -> list[tuple[int, str, str]]:
    result = []
    for commit in handle.history(limit):
        at = datetime.fromtimestamp(int(commit["timestamp"]) / 1000, UTC).isoformat(timespec="seconds")
        result.append((int(commit["version"]), at, str(commit.get("operation", ""))))
    return result


def _orders(handle: DeltaTable) -> dict[str | None, int]:
    """Return partition -> its place in time. An older airflow-wall did not record it: the id shows the logical date."""
    state = TableState(handle)
    orders: dict[str | None, int] = {}
    for partition in partitions_of(handle, None):
        recorded = state.get(state.order_key(partition))
        orders[partition] = _time_of(slice_in(partition)) if recorded is None else recorded
    return orders


def _time_of(slice_id: str) -> int:
    date = date_of_slice(slice_id)
    return 0 if date is None else round(date.timestamp() * 1_000_000)


def _parts(
    rows: pa.Table,
    state: TableState,
    overlap: Overlap,
    slice_id: str,
    *,
    table: str,
    retype: bool,
    ranges: Sequence[SourceVersion],
) -> tuple[dict[str, pa.Table], Mapping[str, pa.DataType]]:
    """
    Return the slices that a commit writes with their rows, and the columns of the table that get another type.

    Rows of a corrected source go to the slice that took it first, beside the rows that the slice has of other sources.
    They are ordered by source, as if the slice had been read again. Rows that a cursor delivers again are left out.

    :param ranges: Versions of sources with a cursor.
    """
    fitted = fit(rows, state.schema, table=table, retype=retype)
    own = _not_from(fitted.rows, [*(source.uri for source in overlap.same), *overlap.corrected])
    for source in ranges:
        held = state.rows_elsewhere(source, slice_id, own)
        own = without_rows(own, convert(held, fitted.retyped, table=table) if fitted.retyped else held)
    parts = {slice_id: own}
    for home in sorted({*overlap.corrected.values(), *overlap.moved.values()}):
        uris = _uris_of(home, overlap.corrected)
        others = state.rows_of(home, without=[*uris, *_uris_of(home, overlap.moved)])
        if fitted.retyped:
            others = convert(others.cast(_without_slice(state.schema)), fitted.retyped, table=table)
        part = pa.concat_tables([others, _rows_from(fitted.rows, uris)], promote_options="default")
        parts[home] = part.take(pc.sort_indices(part, sort_keys=[(SOURCE, "ascending")]))
    return parts, fitted.retyped


def _without_slice(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if field.name != SLICE])


def _not_from(rows: pa.Table, uris: Sequence[str]) -> pa.Table:
    return rows.filter(pc.invert(_are_from(rows, uris))) if uris and SOURCE in rows.column_names else rows


def _rows_from(rows: pa.Table, uris: Sequence[str]) -> pa.Table:
    return rows.filter(_are_from(rows, uris)) if SOURCE in rows.column_names else rows.slice(0, 0)


def _are_from(rows: pa.Table, uris: Sequence[str]) -> Any:
    # A mask keeps the order of the rows. Arrow runs an expression on several threads, and promises no order.
    return pc.is_in(rows.column(SOURCE), value_set=pa.array(list(uris), pa.string()))


def _uris_of(slice_id: str, slices: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(uri for uri, home in slices.items() if home == slice_id)


def _predicate(parts: Iterable[str]) -> str:
    return " OR ".join([f"{SLICE} = {duck.literal(name)}" for name in parts])


def _with_slice(rows: pa.Table, slice_id: str | None) -> pa.Table:
    # The rows are in one chunk, because Delta writes chunks concurrently and in any order.
    others = (rows.drop_columns([SLICE]) if SLICE in rows.column_names else rows).combine_chunks()
    return others.append_column(pa.field(SLICE, pa.string()), pa.array([slice_id] * rows.num_rows, pa.string()))


def _retyped(
    table: str, state: TableState, types: Mapping[str, pa.DataType], predicate: str, new: pa.Table
) -> pa.Table:
    """Return all rows of the table in its new types: those that a predicate does not select, and the new ones."""
    if state.handle is None:
        return new
    with duck.connect() as database:
        database.register("rows", dataset_of(state.handle).to_table())
        kept = database.sql(f"SELECT * FROM rows WHERE ({predicate}) IS NOT TRUE").to_arrow_table()  # noqa: S608
    old = convert(kept.cast(state.schema), types, table=table)
    return pa.concat_tables([old, new], promote_options="default").combine_chunks()


def pause(attempt: int) -> None:
    """Sleep for a random time that grows with each attempt, so that colliding writers do not collide again."""
    if attempt:
        time.sleep(random.uniform(0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311


def _lost(table: str) -> Interrupted:
    return Interrupted(
        f"table `{table}`: other writers committed first {ATTEMPTS} times; this try wrote nothing",
        hint="run the task again",
    )


def _describe_tables(names: Sequence[str]) -> str:
    return f"it has {listed(names)}" if names else "it has no tables yet"


def _no_column(table: str, name: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"table `{table}` has no column `{name}`; it has {listed(names)}",
        hint=did_you_mean(name, names) or "name one of its columns",
    )
