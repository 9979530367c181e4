"""
Record which slice holds which source version, as application transactions of a Delta table.

Delta rejects a commit if another commit has just written the same transaction. So if two writers write one slice or one
source, one wins and the other starts again. The transactions:

========================  ============================================================================
`slice2:<epoch>:<slice>`  digest of the rows and sources last written to the slice: equal ones change nothing
`content2:<...>:<slice>`  digest of the rows of the slice; 0 if it has none
`order:<epoch>:<slice>`   place of the slice in time, in microseconds since 1970
`corrected:<...>:<slice>` table version at which another slice last wrote newer rows to the slice
`source:<epoch>:<hash>`   hash of the version that was last claimed of a source (hash of its uri)
`version:<epoch>:<hash>`  number of the slice that claimed it (hash of uri and version)
`table2`, `epoch`         digest and table version of the last `replace_table`, which ends all claims
========================  ============================================================================

An older airflow-wall wrote `slice:`, `content:` and `table` with another digest. A slice keeps it until it changes.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import ALL, SLICE, SOURCE, SourceVersion, slice_in
from airflow_wall.storage.scan import FILE, DataFile, Scan
from airflow_wall.storage.staging import StagedSlice, digest, has_value

WHOLE = ""
"""The place of a slice's id in the names of transactions, for rows that belong to all slices."""


@dataclass(frozen=True)
class Overlap:
    """
    Rows of a slice's sources in other slices.

    :param same: Versions whose rows another slice holds -> that slice.
    :param corrected: uri of a source in a newer version -> the slice that took it first, and takes the newer rows.
    :param moved: uri of a source in a newer version -> the slice that loses the older rows.
    """

    same: Mapping[SourceVersion, str] = field(default_factory=dict)
    corrected: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)

    @property
    def elsewhere(self) -> bool:
        """True if other slices change."""
        return bool(self.corrected or self.moved)


class TableState:
    """
    One version of one table and its transactions.

    :param handle: None before the first commit.
    :param table: The name of the table, which is the key of its folder in the lake.
    """

    def __init__(self, handle: DeltaTable | None, lake: Lake, table: str) -> None:
        self.handle = handle
        self.version = -1 if handle is None else int(handle.version())
        self.schema = pa.schema([]) if handle is None else schema_of(handle)
        self._lake, self._table = lake, table
        self._epoch = self.get("epoch") or 0

    @functools.cached_property
    def files(self) -> tuple[DataFile, ...]:
        """The files, in the order of their rows: by slice and name. Delta lists them in no order."""
        files = [] if self.handle is None else pa.table(self.handle.get_add_actions(flatten=True)).to_pylist()
        result = []
        for file in files:
            first, last = file.get(f"min.{SOURCE}"), file.get(f"max.{SOURCE}")
            sources = None if first is None or last is None else (first, last)
            key, partition = f"{self._table}/{unquote(file['path'])}", file.get(f"partition.{SLICE}")
            result.append(DataFile(self._lake, key, partition, int(file["num_records"] or 0), sources))
        return tuple(sorted(result, key=lambda file: (file.partition is None, file.partition or "", file.key)))

    def files_in(self, slices: Sequence[str] | None) -> tuple[DataFile, ...]:
        """Return the files with rows of slices and of all slices."""
        wanted = None if slices is None else set(slices)
        return tuple(
            file
            for file in self.files
            if wanted is None or file.partition is None or slice_in(file.partition) in wanted
        )

    def files_of(self, partition: str | None) -> tuple[DataFile, ...]:
        """Return the files of one partition, or of the rows of all slices."""
        return tuple(file for file in self.files if file.partition == partition)

    def scan_of(self, files: Sequence[DataFile]) -> Scan:
        """Return all rows of some files, with the hidden column `_wall_source`."""
        schema = pa.schema([field for field in self.schema if field.name != SLICE])
        return Scan("", tuple(files), schema, tuple(schema.names))

    def get(self, key: str) -> int | None:
        """Return the value of a transaction of the table, or None."""
        return None if self.handle is None else self.handle.transaction_version(key)

    def slice_key(self, slice_id: str) -> str:
        """Return the name of the transaction of a slice."""
        return f"slice2:{self._epoch}:{slice_id}"

    def order_key(self, slice_id: str) -> str:
        """Return the name of the transaction with the place of a slice in time."""
        return f"order:{self._epoch}:{slice_id}"

    def content_key(self, slice_id: str) -> str:
        """Return the name of the transaction with the digest of the rows of a slice."""
        return f"content2:{self._epoch}:{slice_id}"

    def written(self, slice_id: str) -> int | None:
        """Return the digest last written to a slice, also that of an older airflow-wall; None if there is none."""
        written = self.get(self.slice_key(slice_id))
        return self.get(f"slice:{self._epoch}:{slice_id}") if written is None else written

    def content(self, slice_id: str) -> int | None:
        """Return the digest of the rows of a slice, also one of an older airflow-wall; None if it has none."""
        older = (f"content:{self._epoch}:{slice_id}", f"slice:{self._epoch}:{slice_id}")
        contents = (self.get(key) for key in (self.content_key(slice_id), *older))
        return next((content for content in contents if content is not None), None) or None

    def corrected_key(self, slice_id: str) -> str:
        """Return the name of the transaction that other slices change when they write to a slice."""
        return f"corrected:{self._epoch}:{slice_id}"

    def fulfils(self, least: Mapping[str, int]) -> bool:
        """Return True if each of these transactions has at least its value."""
        return all((self.get(key) or 0) >= value for key, value in least.items())

    def owner(self, source: SourceVersion) -> int | None:
        """Return the number of the slice that claimed this version of the source, or None."""
        return self.get(self._version_key(source))

    def count(self, slice_id: str | None) -> int:
        """Return the number of rows of one slice."""
        return sum(file.rows for file in self.files if file.partition == slice_id)

    def claims(self, sources: Iterable[SourceVersion], same: Collection[SourceVersion], number: int) -> dict[str, int]:
        """Return the transactions of a commit of these sources, without that of the slice itself."""
        claims: dict[str, int] = {}
        for source in sources:
            if source not in same:
                claims[self._source_key(source)] = _number(source.version)
                claims[self._version_key(source)] = number
        for key in ("table", "table2"):
            if self.get(key):
                claims[key] = 0  # so that an equal `replace_table` afterwards counts as a change
        return claims

    def overlap(self, sources: Sequence[SourceVersion], slice_id: str, homes: Mapping[str, str]) -> Overlap:
        """
        Find rows of the sources in other slices. To read the rows is cheaper than to read every transaction.

        :param homes: uri of a source -> the slice that took it first, for sources without rows.
        """
        if self.handle is None or not sources or SOURCE not in self.schema.names:
            return Overlap()
        present = self._partitions_of_sources({source.uri for source in sources}, slice_id)
        same: dict[SourceVersion, str] = {}
        corrected: dict[str, str] = {}
        moved: dict[str, str] = {}
        for source in sources:
            home = present.get(source.uri)
            if source.cursor is not None:
                continue  # its rows are compared one by one, see `rows_elsewhere`
            if home is None:
                first = slice_id if source.moves else homes.get(source.uri, slice_id)
                if first != slice_id:
                    corrected[source.uri] = first
            elif self._has_version(source):
                same[source] = home
            elif source.moves:
                moved[source.uri] = home
            else:
                corrected[source.uri] = home
        return Overlap(same, corrected, moved)

    def _partitions_of_sources(self, uris: Collection[str], slice_id: str) -> dict[str, str]:
        """Return uri of a source -> the other partition that has its rows. The statistics of most files show it."""
        low, high = min(uris), max(uris)
        present: dict[str, str] = {}
        unknown = []
        for file in self.files:
            if file.partition is None or file.partition == slice_id:
                continue
            first, last = file.sources or (low, high)
            if last < low or first > high:
                continue
            if file.sources is None or first != last:
                unknown.append(file)
            elif first in uris:
                present[first] = file.partition
        if unknown:
            with duck.shared() as database:
                rows = self.scan_of(unknown).query(database)
                query = f"SELECT DISTINCT {FILE}, {SOURCE} FROM ({rows}) WHERE {SOURCE} IS NOT NULL"  # noqa: S608
                pairs = database.sql(query).fetchall()
            present |= {uri: str(unknown[place].partition) for place, uri in pairs if uri in uris}
        return present

    def _has_version(self, source: SourceVersion) -> bool:
        known = self.get(self._source_key(source))
        return known == _number(source.version) or (source.stamp is not None and known == _number(source.stamp))

    def holds(
        self,
        slice_id: str,
        part: StagedSlice,
        sources: Sequence[SourceVersion],
        number: int,
        database: duckdb.DuckDBPyConnection,
    ) -> bool:
        """Return True if the slice of a part has exactly its rows, from exactly these source versions."""
        names = part.schema.names
        if self.handle is None or names != [name for name in names if name in self.schema.names]:
            return False
        if any(self.owner(source) != number for source in sources) or self.count(slice_id) != part.rows:
            return False
        if any(self.schema.field(field.name).type != field.type for field in part.schema):
            return False
        held = self.scan_of([file for file in self.files if file.partition == slice_id])
        others = [name for name in held.columns if name not in names]
        if others and has_value(database, held, others):
            return False
        return digest(database, held, names) == digest(database, part.scan, names)

    def _source_key(self, source: SourceVersion) -> str:
        return f"source:{self._epoch}:{_hash(source.uri)}"

    def _version_key(self, source: SourceVersion) -> str:
        return f"version:{self._epoch}:{_hash(source.uri, source.version)}"


class TableContents:
    """The digests of the rows of one version of a table."""

    def __init__(self, state: TableState) -> None:
        self._state = state

    def of(self, slices: Sequence[str] | None) -> str:
        """Return a digest of the rows of slices."""
        if self._state.handle is None:
            return ""
        return self._of(partitions_of(self._state.handle, slices))

    def by_slice(self) -> dict[str, str]:
        """Return slice -> digest of its rows, as `of` returns it. Rows that belong to all slices are `all`."""
        if self._state.handle is None:
            return {}
        partitions: dict[str, list[str]] = {}
        for partition in partitions_of(self._state.handle, None):
            partitions.setdefault(slice_in(partition), []).append(partition)
        digests = {slice_id: self._of(parts) for slice_id, parts in partitions.items()}
        return {**digests, **({ALL: whole} if (whole := self._of([])) else {})}

    def _of(self, partitions: Sequence[str]) -> str:
        parts = {partition: self._state.content(partition) for partition in (WHOLE, *partitions)}
        known = sorted((slice_id, content) for slice_id, content in parts.items() if content)
        return hashlib.sha256(repr(known).encode()).hexdigest() if known else ""

    def slice(self, partition: str | None) -> int:
        """Return the digest of the rows of one partition, or of those that belong to all slices."""
        return self._state.content(WHOLE if partition is None else partition) or 0


def partitions_of(handle: DeltaTable, slices: Sequence[str] | None) -> list[str]:
    """Return the sorted partitions of slices that have rows, one per slice and writer. Only names of files are read."""
    values = {partition[SLICE] for partition in handle.partitions()}
    wanted = None if slices is None else set(slices)
    return sorted(value for value in values if value is not None and (wanted is None or slice_in(value) in wanted))


def schema_of(handle: DeltaTable) -> pa.Schema:
    """Return the columns of the table, including the hidden ones."""
    stream: Any = handle.schema().to_arrow()  # the stubs know no schema of another library
    return pa.schema(stream)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _number(text: str) -> int:
    return int(_hash(text)[:15], 16)
