"""
Which slice holds which version of which source, as the application transactions of a Delta table say.

Delta refuses a commit whose transaction another commit has just written, so of two writers of one slice, or of one
source, only one wins and the other looks again. The transactions:

========================  ===========================================================================
`slice:<epoch>:<slice>`   digest of the rows last written to the slice: the same again changes nothing
`source:<epoch>:<hash>`   hash of the version that was last taken of a source (hash of its uri)
`version:<epoch>:<hash>`  number of the slice that took it (hash of uri and version)
`table`, `epoch`          digest and table version of the last `replace_table`, which ends all claims
========================  ===========================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import DeltaTable

from airflow_wall import duck
from airflow_wall.digests import digest_of
from airflow_wall.storage.base import SLICE, SOURCE, SourceVersion


@dataclass(frozen=True)
class Overlap:
    """What other slices hold of the sources of one slice: the same versions, and predicates of rows to be replaced."""

    same: list[SourceVersion]
    older: list[str]


class State:
    """One version of one table, and what its transactions say. `handle` is None before the first commit."""

    def __init__(self, handle: DeltaTable | None) -> None:
        self.handle = handle
        self.version = -1 if handle is None else int(handle.version())
        self.schema = pa.schema([]) if handle is None else schema_of(handle)
        self._epoch = self.get("epoch") or 0

    def get(self, key: str) -> int | None:
        """The value of a transaction of the table, or None."""
        return None if self.handle is None else self.handle.transaction_version(key)

    def slice_key(self, slice_id: str) -> str:
        """Name of the transaction that belongs to a slice."""
        return f"slice:{self._epoch}:{slice_id}"

    def owner(self, source: SourceVersion) -> int | None:
        """Number of the slice that took this version of the source, or None."""
        return self.get(self._version_key(source))

    def count(self, slice_id: str) -> int:
        """Rows of one slice."""
        if self.handle is None:
            return 0
        return dataset_of(self.handle).count_rows(filter=pc.field(SLICE) == slice_id)

    def claims(self, sources: Iterable[SourceVersion], same: Sequence[SourceVersion], number: int) -> dict[str, int]:
        """The transactions of a commit of these sources, besides that of the slice itself."""
        claims: dict[str, int] = {}
        for source in sources:
            if source not in same:
                claims[self._source_key(source)] = _number(source.version)
                claims[self._version_key(source)] = number
        if self.get("table"):
            claims["table"] = 0  # so that the same `replace_table` again is a change
        return claims

    def overlap(self, sources: Sequence[SourceVersion], slice_id: str, rows: pa.Table) -> Overlap:
        """Find rows of the sources in other slices: a look at the rows is cheaper than one at every transaction."""
        if self.handle is None or not sources or SOURCE not in self.schema.names:
            return Overlap([], [])
        uris = sorted({source.uri for source in sources})
        others = (pc.field(SLICE) != slice_id) & (pc.field(SOURCE) >= uris[0]) & (pc.field(SOURCE) <= uris[-1])
        dataset = dataset_of(self.handle)
        found = dataset.to_table(columns=[SOURCE], filter=others & pc.field(SOURCE).isin(uris))
        present = set(found.column(SOURCE).unique().to_pylist())
        same: list[SourceVersion] = []
        older: list[str] = []
        for source in sources:
            if source.uri not in present:
                continue
            if source.cursor is not None:
                older += _same_range(dataset, others, source, rows)
            elif self.get(self._source_key(source)) == _number(source.version):
                same.append(source)
            else:
                older.append(f"{SOURCE} = {duck.literal(source.uri)}")
        return Overlap(same, older)

    def _source_key(self, source: SourceVersion) -> str:
        return f"source:{self._epoch}:{_hash(source.uri)}"

    def _version_key(self, source: SourceVersion) -> str:
        return f"version:{self._epoch}:{_hash(source.uri, source.version)}"


def _same_range(dataset: pads.Dataset, others: pc.Expression, source: SourceVersion, rows: pa.Table) -> list[str]:
    """The predicate of those rows of other slices that a source gives again, if there are any."""
    cursor = str(source.cursor)
    if rows.num_rows == 0 or cursor not in dataset.schema.names:
        return []
    low, high = (end(rows.column(cursor)).as_py() for end in (pc.min, pc.max))
    again = others & (pc.field(cursor) >= low) & (pc.field(cursor) <= high)
    if dataset.count_rows(filter=again) == 0:
        return []
    column, source_is = duck.identifier(cursor), f"{SOURCE} = {duck.literal(source.uri)}"
    return [f"({source_is} AND {column} >= {_sql_value(low)} AND {column} <= {_sql_value(high)})"]


def _sql_value(value: Any) -> str:
    if isinstance(value, int | float | Decimal):
        return str(value)
    return duck.literal(value.isoformat() if hasattr(value, "isoformat") else str(value))


def dataset_of(handle: DeltaTable) -> pads.Dataset:
    """The files of the table, sorted by slice: Delta lists them in no order, and a model must not depend on that."""
    found: Any = handle.to_pyarrow_dataset()  # the stubs know no format and no filesystem of it
    fragments = sorted(found.get_fragments(), key=lambda fragment: fragment.path)
    ordered: pads.Dataset = pads.dataset(found.schema.empty_table())
    if fragments:
        ordered = pads.FileSystemDataset(fragments, found.schema, found.format, found.filesystem)
    return ordered


def schema_of(handle: DeltaTable) -> pa.Schema:
    """The columns of the table, hidden ones too."""
    schema: pa.Schema = handle.to_pyarrow_dataset().schema
    return schema


def digest(rows: pa.Table, sources: Sequence[SourceVersion]) -> int:
    """The rows in their order, and the versions they are of, as a number that is never 0."""
    combined = rows.drop_columns([SLICE]) if SLICE in rows.column_names else rows
    origins = sorted((source.uri, source.version) for source in sources)
    return int(digest_of(combined, *(f"{uri}\0{version}" for uri, version in origins))[:15], 16) or 1


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _number(text: str) -> int:
    return int(_hash(text)[:15], 16)
