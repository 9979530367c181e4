"""
The ledger of the source versions that a pipeline has processed: a Delta table with a row per version and target table.
It is stored in the lake beside the data, so that a lake copied to another Airflow continues where it was.

Columns: `pipeline`, `uri`, `version`, `table`, `slice`, `rows` (int64), `committed_at` (UTC).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from airflow_wall.errors import Interrupted
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.delta import ATTEMPTS, pause

COMPACT_ABOVE = 100
"""Number of files above which an append also merges them. Each append creates one file."""

_FIELDS: list[tuple[str, pa.DataType]] = [
    ("pipeline", pa.string()),
    ("uri", pa.string()),
    ("version", pa.string()),
    ("table", pa.string()),
    ("slice", pa.string()),
    ("rows", pa.int64()),
    ("committed_at", pa.timestamp("us", tz="UTC")),
]
_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True)
class Processed:
    """
    The source versions that a pipeline has processed, as pairs of uri and version.

    :param versions: All of them.
    :param latest: The newest version of each source in each table. A file that gets an earlier content again is new.
    """

    versions: frozenset[tuple[str, str]] = frozenset()
    latest: frozenset[tuple[str, str]] = frozenset()

    def has(self, source: SourceVersion) -> bool:
        """Return True if a version needs no further processing."""
        done = self.latest if source.cursor is None else self.versions  # ranges of a cursor replace no earlier ones
        return (source.uri, source.version) in done


class IngestLedger:
    """
    The ledger of one lake.

    :param lake: The lake. The first `record` creates the table.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._key = lake.state_key("ledger")
        self._uri = lake.uri(self._key)

    def processed(self, pipeline: str, *, table: str | None = None) -> Processed:
        """Return the versions that the pipeline has processed, into any table or only into `table`."""
        return _processed(self._open(), pipeline, table)

    def first_slices(self, table: str) -> dict[str, str]:
        """Return uri -> the slice that first took it into a table, by any pipeline."""
        rows = _select(self._open(), pc.field("table") == table, ["uri", "slice", "committed_at"])
        latest_first = sorted(rows, key=lambda row: row["committed_at"], reverse=True)
        return {row["uri"]: row["slice"] for row in latest_first}

    def uris_by_version(self, table: str) -> dict[str, frozenset[str]]:
        """Return version -> the sources of which a table has taken rows of that version, by any pipeline."""
        rows = _select(self._open(), (pc.field("table") == table) & (pc.field("rows") > 0), ["uri", "version"])
        uris: dict[str, set[str]] = {}
        for row in rows:
            uris.setdefault(row["version"], set()).add(row["uri"])
        return {version: frozenset(names) for version, names in uris.items()}

    def takers(self, table: str) -> frozenset[tuple[str, str, str]]:
        """Return pipeline, uri and slice of everything that was put into a table."""
        rows = _select(self._open(), pc.field("table") == table, ["pipeline", "uri", "slice"])
        return frozenset((row["pipeline"], row["uri"], row["slice"]) for row in rows)

    def taken_by(self, pipeline: str, slice_id: str) -> set[str]:
        """Return the uris of the sources whose rows a pipeline has put into a slice, of any table."""
        condition = (pc.field("pipeline") == pipeline) & (pc.field("slice") == slice_id)
        return {row["uri"] for row in _select(self._open(), condition, ["uri"])}

    def record(self, pipeline: str, table: str, slice_id: str, rows: Mapping[SourceVersion, int]) -> bool:
        """
        Record that a slice of `table` holds these versions, with the number of rows of each.

        :return: False if all were recorded.
        :raises Interrupted: other writers won every race.
        """
        for attempt in range(ATTEMPTS):
            pause(attempt)
            handle = self._open()  # one version for the read and the append, so that Delta detects commits in between
            done = _processed(handle, pipeline, table)
            missing = {source: count for source, count in rows.items() if not done.has(source)}
            if not missing:
                return False
            if self._append(handle, _rows(pipeline, table, slice_id, missing), _transaction(pipeline, table, missing)):
                return True
        raise Interrupted(
            f"the ledger in `{self._uri}`: other writers committed first {ATTEMPTS} times", hint="run the task again"
        )

    def upgrade(self, pipeline: str, versions: Collection[SourceVersion]) -> None:
        """Record the digests of files that an older airflow-wall recorded by size and time."""
        by_stamp = {(version.uri, version.stamp): version for version in versions}
        rows = _select(self._open(), pc.field("pipeline") == pipeline) if by_stamp else []
        upgraded: dict[tuple[str, str], dict[SourceVersion, int]] = {}
        for row in rows:
            version = by_stamp.get((row["uri"], row["version"]))
            if version is not None:
                upgraded.setdefault((row["table"], row["slice"]), {})[version] = row["rows"]
        for (table, slice_id), counts in upgraded.items():
            self.record(pipeline, table, slice_id, counts)

    def _append(self, handle: DeltaTable | None, rows: pa.Table, transaction: Transaction) -> bool:
        """Append rows. Return False if another writer has committed the same rows, or has created the table."""
        self._lake.prepare_folder(self._key)
        try:
            write_deltalake(
                handle if handle is not None else self._uri,
                rows,
                storage_options=None if handle is not None else self._lake.storage_options(),
                mode="append" if handle is not None else "error",
                # If two processes create the table, a retry of Delta would append the second's rows without a check.
                commit_properties=CommitProperties(
                    app_transactions=[transaction], max_commit_retries=0 if handle is None else None
                ),
            )
        except CommitFailedError:
            return False
        except DeltaError:
            if handle is None and self._open() is not None:
                return False  # another process has created it
            raise
        if handle is not None:
            _compact(handle)
        return True

    def _open(self) -> DeltaTable | None:
        if self._lake.lacks_folder(f"{self._key}/_delta_log"):
            return None
        try:
            return DeltaTable(self._uri, storage_options=self._lake.storage_options())
        except TableNotFoundError:
            return None  # a first writer was killed before its commit


def _select(
    handle: DeltaTable | None, condition: pc.Expression, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return the entries that fulfil a condition; none if there is no ledger yet."""
    if handle is None:
        return []
    names = None if columns is None else list(columns)
    return list(handle.to_pyarrow_dataset().to_table(columns=names, filter=condition).to_pylist())


def _processed(handle: DeltaTable | None, pipeline: str, table: str | None) -> Processed:
    condition = pc.field("pipeline") == pipeline
    if table is not None:
        condition &= pc.field("table") == table
    rows = _select(handle, condition, ["table", "uri", "version", "committed_at"])
    latest = {(row["table"], row["uri"]): row["version"] for row in sorted(rows, key=lambda row: row["committed_at"])}
    return Processed(
        frozenset((row["uri"], row["version"]) for row in rows),
        frozenset((uri, version) for (_, uri), version in latest.items()),
    )


def _compact(handle: DeltaTable) -> None:
    if len(handle.file_uris()) <= COMPACT_ABOVE:
        return
    try:
        handle.optimize.compact()
        handle.vacuum(dry_run=False)  # remove files that no version of the last week needs
    except CommitFailedError:
        pass  # another process is merging them


def _rows(pipeline: str, table: str, slice_id: str, rows: Mapping[SourceVersion, int]) -> pa.Table:
    now = datetime.now(UTC)
    entries = [
        {
            "pipeline": pipeline,
            "uri": source.uri,
            "version": source.version,
            "table": table,
            "slice": slice_id,
            "rows": count,
            "committed_at": now,
        }
        for source, count in rows.items()
    ]
    return pa.Table.from_pylist(entries, schema=_SCHEMA)


def _transaction(pipeline: str, table: str, rows: Mapping[SourceVersion, int]) -> Transaction:
    """Return an id of these rows. Delta rejects the second of two concurrent commits with one id."""
    text = "\0".join([pipeline, table, *sorted(f"{source.uri}\0{source.version}" for source in rows)])
    return Transaction(hashlib.sha256(text.encode()).hexdigest()[:32], 1)
