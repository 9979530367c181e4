"""
Record which slice holds which source version, as application transactions of a Delta table.

Delta rejects a commit if another commit has just written the same transaction. So if two writers write one slice or one
source, one wins and the other starts again. The transactions:

========================  ============================================================================
`slice:<epoch>:<slice>`   digest of the rows and sources last written to the slice: equal ones change nothing
`content:<epoch>:<slice>` digest of the rows of the slice; 0 if it has none
`order:<epoch>:<slice>`   place of the slice in time, in microseconds since 1970
`corrected:<...>:<slice>` table version at which another slice last wrote newer rows to the slice
`source:<epoch>:<hash>`   hash of the version that was last claimed of a source (hash of its uri)
`version:<epoch>:<hash>`  number of the slice that claimed it (hash of uri and version)
`table`, `epoch`          digest and table version of the last `replace_table`, which ends all claims
========================  ============================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import DeltaTable

from airflow_wall.digests import digest_of
from airflow_wall.storage.base import ALL, HIDDEN, SLICE, SOURCE, SourceVersion, slice_in

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
    """One version of one table and its transactions. `handle` is None before the first commit."""

    def __init__(self, handle: DeltaTable | None) -> None:
        self.handle = handle
        self.version = -1 if handle is None else int(handle.version())
        self.schema = pa.schema([]) if handle is None else schema_of(handle)
        self._epoch = self.get("epoch") or 0

    def get(self, key: str) -> int | None:
        """Return the value of a transaction of the table, or None."""
        return None if self.handle is None else self.handle.transaction_version(key)

    def slice_key(self, slice_id: str) -> str:
        """Return the name of the transaction of a slice."""
        return f"slice:{self._epoch}:{slice_id}"

    def order_key(self, slice_id: str) -> str:
        """Return the name of the transaction with the place of a slice in time."""
        return f"order:{self._epoch}:{slice_id}"

    def content_key(self, slice_id: str) -> str:
        """Return the name of the transaction with the digest of the rows of a slice."""
        return f"content:{self._epoch}:{slice_id}"

    def content(self, slice_id: str) -> int | None:
        """Return the digest of the rows of a slice; None if it has none, or if an older airflow-wall wrote them."""
        content = self.get(self.content_key(slice_id))
        return (self.get(self.slice_key(slice_id)) if content is None else content) or None

    def corrected_key(self, slice_id: str) -> str:
        """Return the name of the transaction that other slices change when they write to a slice."""
        return f"corrected:{self._epoch}:{slice_id}"

    def fulfils(self, least: Mapping[str, int]) -> bool:
        """Return True if each of these transactions has at least its value."""
        return all((self.get(key) or 0) >= value for key, value in least.items())

    def owner(self, source: SourceVersion) -> int | None:
        """Return the number of the slice that claimed this version of the source, or None."""
        return self.get(self._version_key(source))

    def count(self, slice_id: str) -> int:
        """Return the number of rows of one slice."""
        if self.handle is None:
            return 0
        return dataset_of(self.handle).count_rows(filter=pc.field(SLICE) == slice_id)

    def claims(self, sources: Iterable[SourceVersion], same: Collection[SourceVersion], number: int) -> dict[str, int]:
        """Return the transactions of a commit of these sources, without that of the slice itself."""
        claims: dict[str, int] = {}
        for source in sources:
            if source not in same:
                claims[self._source_key(source)] = _number(source.version)
                claims[self._version_key(source)] = number
        if self.get("table"):
            claims["table"] = 0  # so that an equal `replace_table` afterwards counts as a change
        return claims

    def overlap(self, sources: Sequence[SourceVersion], slice_id: str, homes: Mapping[str, str]) -> Overlap:
        """
        Find rows of the sources in other slices. To read the rows is cheaper than to read every transaction.

        :param homes: uri of a source -> the slice that took it first, for sources without rows.
        """
        if self.handle is None or not sources or SOURCE not in self.schema.names:
            return Overlap()
        uris = sorted({source.uri for source in sources})
        others = (pc.field(SLICE) != slice_id) & (pc.field(SOURCE) >= uris[0]) & (pc.field(SOURCE) <= uris[-1])
        dataset = dataset_of(self.handle)
        elsewhere = dataset.to_table(columns=[SOURCE, SLICE], filter=others & pc.field(SOURCE).isin(uris))
        pairs = elsewhere.group_by([SOURCE, SLICE]).aggregate([]).to_pylist()
        present = {row[SOURCE]: row[SLICE] for row in pairs}
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

    def rows_elsewhere(self, source: SourceVersion, slice_id: str, rows: pa.Table) -> pa.Table:
        """Return the rows of other slices in the stretch of the cursor that a source delivers."""
        cursor = str(source.cursor)
        if self.handle is None or not {cursor, SOURCE} <= {*self.schema.names} or cursor not in rows.column_names:
            return rows.slice(0, 0)
        others = (pc.field(SLICE) != slice_id) & (pc.field(SOURCE) == source.uri)
        if rows.num_rows and rows.schema.field(cursor).type == self.schema.field(cursor).type:
            low, high = (end(rows.column(cursor)).as_py() for end in (pc.min, pc.max))
            others &= (pc.field(cursor) >= low) & (pc.field(cursor) <= high)
        return dataset_of(self.handle).to_table(filter=others).drop_columns([SLICE])

    def rows_of(self, slice_id: str, *, without: Sequence[str]) -> pa.Table:
        """Return the rows of a slice, except those of some sources, with the hidden column `_wall_source`."""
        assert self.handle is not None
        own = pc.field(SLICE) == slice_id
        kept = own & (~pc.field(SOURCE).isin(pa.array(list(without), pa.string())) | pc.field(SOURCE).is_null())
        return dataset_of(self.handle).to_table(filter=kept).drop_columns([SLICE])

    def _has_version(self, source: SourceVersion) -> bool:
        known = self.get(self._source_key(source))
        return known == _number(source.version) or (source.stamp is not None and known == _number(source.stamp))

    def holds(self, slice_id: str, rows: pa.Table, sources: Sequence[SourceVersion], number: int) -> bool:
        """Return True if the slice has exactly these rows, from exactly these source versions."""
        if self.handle is None or rows.schema.names != [
            name for name in rows.schema.names if name in self.schema.names
        ]:
            return False
        if any(self.owner(source) != number for source in sources) or self.count(slice_id) != rows.num_rows:
            return False
        held = dataset_of(self.handle).to_table(filter=pc.field(SLICE) == slice_id)
        if any(
            held.column(name).null_count < held.num_rows for name in set(held.column_names) - set(rows.column_names)
        ):
            return False
        types_differ = any(self.schema.field(field.name).type != field.type for field in rows.schema)
        return not types_differ and bool(held.select(rows.column_names).equals(rows))

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


def dataset_of(handle: DeltaTable) -> pads.Dataset:
    """Return the files of the table, sorted by slice. Delta lists them in no order, on which no model may depend."""
    unordered: Any = handle.to_pyarrow_dataset()  # the stubs lack its format and filesystem
    fragments = sorted(unordered.get_fragments(), key=lambda fragment: fragment.path)
    ordered: pads.Dataset = pads.dataset(unordered.schema.empty_table())
    if fragments:
        ordered = pads.FileSystemDataset(fragments, unordered.schema, unordered.format, unordered.filesystem)
    return ordered


def schema_of(handle: DeltaTable) -> pa.Schema:
    """Return the columns of the table, including the hidden ones."""
    schema: pa.Schema = handle.to_pyarrow_dataset().schema
    return schema


def content_of(rows: pa.Table) -> int:
    """
    Return a digest of the visible columns of ordered rows, as a number that is 0 only if there are no rows.

    A column without values counts as a missing one: a table adds it when another slice brings it.
    """
    if not rows.num_rows:
        return 0
    names = [name for name in rows.column_names if name not in HIDDEN and rows.column(name).null_count < rows.num_rows]
    return digest(rows.select(sorted(names)), ())


def digest(rows: pa.Table, sources: Sequence[SourceVersion]) -> int:
    """Return a digest of the ordered rows and of their source versions, as a number that is never 0."""
    combined = rows.drop_columns([SLICE]) if SLICE in rows.column_names else rows
    origins = sorted((source.uri, source.version) for source in sources)
    return int(digest_of(combined, *(f"{uri}\0{version}" for uri, version in origins))[:15], 16) or 1


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _number(text: str) -> int:
    return int(_hash(text)[:15], 16)
