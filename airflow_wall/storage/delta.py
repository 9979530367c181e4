"""
Delta tables in directories, without a JVM: `bronze/orders` is the directory `<storage>/bronze/orders`.

Every write is one Delta commit: it replaces a partition (`_wall_slice`) and records the versions of its sources
(ownership.py).
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, TableFeatures, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import create_table_with_add_actions

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import date_of_slice
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import (
    ALL,
    HIDDEN,
    SLICE,
    Commit,
    Files,
    SourceVersion,
    TableSummary,
    check_name,
    partition_of,
    slice_in,
)
from airflow_wall.storage.contract import Contract, Contracts
from airflow_wall.storage.ownership import WHOLE, TableContents, TableState, partitions_of, schema_of
from airflow_wall.storage.purge import purge
from airflow_wall.storage.scan import RowKey, Scan
from airflow_wall.storage.slice_parts import SliceParts
from airflow_wall.storage.staging import StagedSlice, Staging, content_of, digest
from airflow_wall.text.reserved import reserved_part
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
        self, lake: Lake | Path, fence: Callable[[], None] = lambda: None, created_by: Mapping[str, str] | None = None
    ) -> None:
        self._lake = Lake.of(lake)
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
                f"no table in `{self._lake}` matches `{pattern}`: {_describe_tables(tables)}",
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
        state = self._visible(table)
        names = [name for name in state.schema.names if hidden or name not in HIDDEN]
        unknown = [name for name in columns or () if name not in state.schema.names]
        if unknown:
            raise _no_column(table, unknown[0], names)
        key = self._key(table)
        selected = tuple(names if columns is None else columns)
        orders = None if key is None else _orders(state)
        return Scan(table, state.files_in(slices), state.schema, selected, where, key, orders)

    def files(self, table: str, *, slices: Sequence[str] | None = None) -> Files:
        """Return the files of these slices. The slice is the partition, so each file belongs to one slice."""
        scan = self.scan(table, slices=slices)
        return Files(scan.paths, scan.schema) if scan.key is None else self._current_files(scan, slices)

    def _key(self, table: str) -> RowKey | None:
        recorded = Contracts(self._lake).read(table)
        contract = Contract() if recorded is None else recorded[0]
        return RowKey(contract.key, contract.order_by) if contract.key else None

    def _current_files(self, scan: Scan, slices: Sequence[str] | None) -> Files:
        """Return a file with the current rows of a table with a key. Each version of the table makes one of its own."""
        folder = self._lake.local_state() / "current" / scan.table
        places = (self._lake.place(file.key) for file in scan.files)
        names = "\0".join([*sorted(slices or ()), *places, repr(scan.orders), repr(scan.key)])
        chosen = hashlib.sha256(names.encode()).hexdigest()[:32]
        path = folder / f"{'all' if slices is None else 'slices'}-{chosen}.parquet"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            scan.write(path)
            for other in folder.glob("*.parquet"):
                if time.time() - other.stat().st_mtime > _KEPT:
                    other.unlink(missing_ok=True)
        return Files((path,), scan.schema)

    def held_elsewhere(
        self, table: str, sources: Sequence[SourceVersion], *, slice_id: str, writer: str | None = None
    ) -> dict[SourceVersion, str]:
        """Return the source versions whose rows are in another slice, or are those of another writer."""
        state = self._state(table)
        same = state.overlap(sources, partition_of(slice_id, writer), {}).same
        return {source: slice_in(partition) for source, partition in same.items()}

    def contents(self, table: str) -> TableContents:
        """Return the digests of the newest version."""
        return TableContents(TableState(self._open_visible(table), self._lake, table))

    def owner(self, table: str, source: SourceVersion) -> int | None:
        """Return the number of the slice that last claimed this version of the source, or None."""
        return self._state(table).owner(source)

    @contextmanager
    def stage(self, table: str) -> Iterator[Staging]:
        """Return the staging of new rows. At the end, files that no commit has published are deleted."""
        staging = Staging(self._lake, check_name(table))
        try:
            yield staging
        finally:
            if staging.is_tried:  # an attempt whose answer was lost may have published them
                staging.published.update(file.key for file in self._state(table).files)
            staging.clean()

    def replace_slice(
        self,
        table: str,
        data: pa.Table | Staging,
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
            with self._staged(beside, rejected) as staging:
                least[_REJECTED_COUNT] = replace(beside, staging, least={_IS_BESIDE: 1}).version + 1
        with self._staged(table, data) as staging:
            return replace(table, staging, least=least)

    @contextmanager
    def _staged(self, table: str, data: pa.Table | Staging) -> Iterator[Staging]:
        if isinstance(data, Staging):
            yield data
            return
        with self.stage(table) as staging:
            staging.stage_table(data, table=table)
            yield staging

    def _replace_slice(
        self,
        table: str,
        staging: Staging,
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
        first: tuple[int | None, int | None] | None = None
        for attempt in range(ATTEMPTS):
            pause(attempt)
            state = self._state(table)
            overlap = state.overlap(sources, slice_id, homes)
            making = SliceParts(table, staging, state, overlap)
            kept = making.kept()
            written = _digest_of(staging, kept, sources)
            seen = (state.written(slice_id), state.get(state.corrected_key(slice_id)))
            first = seen if first is None or first[1] != seen[1] else first
            is_raced = seen[0] is not None and seen[0] != first[0]
            if is_raced or (seen[0] == written and not overlap.elsewhere and state.fulfils(least)):
                self._fence()
                content = state.content(slice_id) or 0 if seen[0] == written else None
                return Commit(table, state.version, state.count(slice_id), False, content)
            if state.handle is None and not kept.schema.names:
                return Commit(table, -1, 0, changed=False, content=0)
            fitted = making.fit(retype=retype)
            ranges = [source for source in sources if source.cursor is not None]
            own = making.own(kept, fitted, slice_id, ranges)
            claimed = [source for source in sources if source not in overlap.same]
            is_same = seen[0] is not None and not overlap.elsewhere and state.fulfils(least)
            if is_same and state.holds(
                slice_id, own, claimed, number, staging.database
            ):  # the table's types became wider
                return Commit(table, state.version, own.rows, False, state.content(slice_id) or 0)
            parts = {slice_id: own}
            for home in sorted({*overlap.corrected.values(), *overlap.moved.values()}):
                parts[home] = making.corrected(home, fitted)
            contents = {name: content_of(staging.database, part) for name, part in parts.items()}
            claims = {state.slice_key(slice_id): written, **state.claims(sources, overlap.same, number)}
            claims |= {key: max(value, state.get(key) or 0) for key, value in least.items()}
            claims |= {state.content_key(name): content for name, content in contents.items()}
            if order is not None:
                claims[state.order_key(slice_id)] = order
            for name in parts.keys() - {slice_id}:  # so that an equal write of that slice afterwards counts as a change
                claims |= dict.fromkeys((state.slice_key(name), state.corrected_key(name)), state.version + 1)
            partitions: list[str] | None = [*parts]
            new = [*parts.values()]
            if fitted.retyped and state.handle is not None:
                new, partitions = [*making.retyped(fitted.retyped, parts.keys()), *new], None
            if self._commit(table, state, staging, new, claims, partitions):
                corrected = {slice_in(name): _uris_of(name, overlap.corrected) for name in parts.keys() - {slice_id}}
                return Commit(table, self._newest(table), own.rows, True, contents[slice_id], corrected)
        raise _lost(table)

    def drop_slice(self, table: str, slice_id: str) -> int:
        """Delete the rows of one slice."""
        with self.stage(table) as staging:
            for attempt in range(ATTEMPTS):
                pause(attempt)
                state = self._visible(table)
                assert state.handle is not None
                partitions = [part for part in partitions_of(state.handle, [slice_id]) if state.count(part)]
                if not partitions:
                    return 0
                rows = sum(map(state.count, partitions))
                claims = {state.content_key(partition): 0 for partition in partitions}
                for partition in partitions:  # so that an equal write afterwards counts as a change
                    changed = (state.slice_key(partition), state.corrected_key(partition))
                    claims |= dict.fromkeys(changed, state.version + 1)
                if self._commit(table, state, staging, [], claims, partitions):
                    return rows
        raise _lost(table)

    def erase(self, table: str, keep: Callable[[pa.Table], pa.Table], keep_bad: Callable[[pa.Table], pa.Table]) -> int:
        """Erase rows of a table and of its bad rows."""
        beside, least, erased = f"{table}{REJECTED}", {}, 0
        if self._open(beside) is not None:
            erased += self._erase(beside, keep_bad, {})
            if self._state(beside).get(_IS_BESIDE):
                least[_REJECTED_COUNT] = self._newest(beside) + 1
        if self._open(table) is not None:
            erased += self._erase(table, keep, least)
        return erased

    def _erase(self, table: str, keep: Callable[[pa.Table], pa.Table], least: Mapping[str, int]) -> int:
        """
        Write the partitions again that lose rows. Their digests stay, so that verdicts and lineage stay valid.

        :param least: Transactions that the table has afterwards, with at least these values.
        """
        with self.stage(table) as staging:
            for attempt in range(ATTEMPTS):
                pause(attempt)
                state = self._state(table)
                assert state.handle is not None
                parts, erased = [], 0
                partitions = dict.fromkeys(file.partition for file in state.files)
                kept = {name: keep(state.scan_of(state.files_of(name)).to_table()) for name in partitions}
                lost = {name: rows for name in partitions if (rows := state.count(name) - kept[name].num_rows)}
                written = (
                    partitions if None in lost else lost
                )  # rows of all slices can only be replaced with all others
                parts = [staging.put(kept[name], name) for name in written]
                erased = sum(lost.values())
                if not erased and state.fulfils(least):
                    return 0
                names = None if None in lost else [str(name) for name in lost] or [""]
                if self._commit(table, state, staging, parts, dict(least), names):
                    return erased
        raise _lost(table)

    def purge(self, table: str) -> None:
        """Delete the older versions of a table and of its bad rows."""
        for name in (table, f"{table}{REJECTED}"):
            handle = self._open(name)
            if handle is not None:
                purge(handle, self._lake.only_folder("to purge a table") / name)
            shutil.rmtree(self._lake.local_state() / "current" / name, ignore_errors=True)
            replaced = self._lake.state_key("replaced")
            for folder in self._lake.objects.names(replaced):
                self._lake.objects.remove(f"{replaced}/{folder.rstrip('/')}/{name}")

    def replace_table(self, table: str, data: pa.Table | Staging) -> Commit:
        """Replace all rows and the schema."""
        with self._staged(table, data) as staging:
            part = staging.raw.of(None)
            content = _digest_of(staging, part, ())
            for attempt in range(ATTEMPTS):
                pause(attempt)
                state = self._state(table)
                if state.get("table2") == content:
                    return Commit(table, state.version, part.rows, False, content)
                epoch = state.version + 2
                claims = {"table2": content, "epoch": epoch, f"content2:{epoch}:{WHOLE}": content}
                if self._commit(table, state, staging, [part], claims, None, replaces=True):
                    return Commit(table, self._newest(table), part.rows, True, content)
        raise _lost(table)

    def _commit(
        self,
        table: str,
        state: TableState,
        staging: Staging,
        parts: Sequence[StagedSlice],
        claims: Mapping[str, int],
        partitions: Sequence[str] | None,
        *,
        replaces: bool = False,
    ) -> bool:
        """
        Publish staged rows by one commit. Return False if another writer committed first.

        :param partitions: The slices whose rows they replace; None for all.
        :param replaces: True if the columns of the rows replace those of the table.
        """
        schema = _merged(pa.schema([]) if replaces else state.schema, parts, table)
        key = check_name(table)
        # If two processes create a table, Delta's retry appends the second commit to the first without a check for
        # conflicts. So a commit that creates the table is not retried. All later commits are checked for conflicts.
        properties = CommitProperties(
            app_transactions=[Transaction(name, value) for name, value in claims.items()],
            max_commit_retries=0 if state.handle is None else None,
            custom_metadata={_CREATED_BY: json.dumps(self._created_by)} if state.handle is None else None,
        )
        actions: list[Any] = [action for part in parts for action in part.actions]
        staging.upload(parts)
        self._fence()  # after `state` was read: a writer that passes the fence later wins the race for the commit
        staging.is_tried = True
        try:
            if state.handle is None:
                self._lake.prepare_folder(key)
                create_table_with_add_actions(
                    self._lake.uri(key),
                    Schema.from_arrow(schema),
                    actions,
                    partition_by=[SLICE],
                    storage_options=self._lake.storage_options(),
                    commit_properties=properties,
                )
            elif not _allows_types_of(state.handle, schema):
                return False
            else:
                state.handle.create_write_transaction(
                    actions,
                    "overwrite",
                    state.handle.schema() if schema == state.schema else Schema.from_arrow(schema),
                    [SLICE],
                    None if partitions is None else [(SLICE, "in", list(partitions))],
                    commit_properties=properties,
                )
        except CommitFailedError:
            return False
        except DeltaError as error:
            if state.handle is None and self._open(table) is not None:
                return False  # another process has created it
            raise DataError(
                f"table `{table}` in `{self._lake.place(key)}` could not be written: {error}",
                hint="look at the directory's permissions and free space, then run the task again",
            ) from error
        staging.published.update(file.key for part in parts for file in part.files)
        return True

    def _state(self, table: str) -> TableState:
        """Return the newest version of a table, visible or not."""
        return TableState(self._open(table), self._lake, table)

    def _visible(self, table: str) -> TableState:
        return TableState(self._opened(table), self._lake, table)

    def _open(self, table: str) -> DeltaTable | None:
        key = check_name(table)
        if self._lake.lacks_folder(f"{key}/_delta_log"):
            return None
        try:
            return DeltaTable(self._lake.uri(key), storage_options=self._lake.storage_options())
        except TableNotFoundError:
            return None  # a first writer was killed before its commit
        except DeltaError as error:
            raise DataError(
                f"table `{table}` in `{self._lake.place(key)}` cannot be read: {error}",
                hint="restore the directory from a backup",
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
            f"there is no table `{table}` in `{self._lake}`: {_describe_tables(tables)}",
            hint=did_you_mean(table, tables) or "run the task that writes it first",
        )

    def _all(self) -> list[str]:
        return self._lake.folders_with("_delta_log", lambda name: reserved_part(name) is None)


def _commits(handle: DeltaTable, limit: int) -> list[tuple[int, str, str]]:
    result = []
    for commit in handle.history(limit):
        at = datetime.fromtimestamp(int(commit["timestamp"]) / 1000, UTC).isoformat(timespec="seconds")
        result.append((int(commit["version"]), at, str(commit.get("operation", ""))))
    return result


def _orders(state: TableState) -> dict[str | None, int]:
    """Return partition -> its place in time. An older airflow-wall did not record it: the id shows the logical date."""
    orders: dict[str | None, int] = {}
    for partition in dict.fromkeys(file.partition for file in state.files if file.partition is not None):
        recorded = state.get(state.order_key(partition))
        orders[partition] = _time_of(slice_in(partition)) if recorded is None else recorded
    return orders


def _time_of(slice_id: str) -> int:
    date = date_of_slice(slice_id)
    return 0 if date is None else round(date.timestamp() * 1_000_000)


def _digest_of(staging: Staging, part: StagedSlice, sources: Sequence[SourceVersion]) -> int:
    """Return a digest of the ordered rows of a part and of their source versions."""
    origins = sorted((source.uri, source.version) for source in sources)
    return digest(staging.database, part.scan, part.schema.names, *(f"{uri}\0{version}" for uri, version in origins))


def _uris_of(slice_id: str, slices: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(uri for uri, home in slices.items() if home == slice_id)


def _merged(known: pa.Schema, parts: Sequence[StagedSlice], table: str) -> pa.Schema:
    """
    Return the columns of a table with those of new rows.

    :raises DataError: a column has no type.
    """
    types = {field.name: field.type for field in known}
    for part in parts:
        types |= {field.name: field.type for field in part.schema}
    empty = [name for name, type_ in types.items() if pa.types.is_null(type_)]
    if empty:
        raise DataError(
            f"column `{empty[0]}` of the rows for table `{table}` must have a type, got only untyped nulls",
            hint=f"give it a type: `CAST({empty[0]} AS DOUBLE) AS {empty[0]}`",
        )
    return pa.schema({**types, SLICE: pa.string()})


def _allows_types_of(handle: DeltaTable, schema: pa.Schema) -> bool:
    """Return True if the table may have columns of these types. Else let it, so that the next attempt finds that."""
    features = handle.protocol().writer_features or []
    is_naive = "timestamp_ntz" in Schema.from_arrow(schema).to_json()
    if not is_naive or "timestampNtz" in features:
        return True
    handle.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)
    return False


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
