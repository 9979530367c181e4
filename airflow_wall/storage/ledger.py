"""
Which source versions a pipeline has processed: a Delta table in our own folder of the lake, one row per version and
table that holds it. It lies with the data, so that a lake copied to another Airflow goes on where it was.

Columns: `pipeline`, `uri`, `version`, `table`, `slice`, `rows` (int64), `committed_at` (UTC).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from airflow_wall.errors import Interrupted
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.delta import ATTEMPTS, pause

COMPACT_ABOVE = 100
"""Number of files above which an append also merges them: each append makes one."""

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


class Ledger:
    """
    The ledger of one lake.

    :param state: Folder of our own state; the table is `ledger` in it and is made by the first `record`.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "ledger"

    def processed(self, pipeline: str, *, table: str | None = None) -> set[tuple[str, str]]:
        """Return (uri, version) of all that the pipeline has processed, into any table or only into `table`."""
        return _processed(self._open(), pipeline, table)

    def record(self, pipeline: str, table: str, slice_id: str, rows: Mapping[SourceVersion, int]) -> bool:
        """
        Note that `table` holds these versions, with the number of rows of each. Return whether there was any to add.

        :raises Interrupted: other writers won every race.
        """
        for attempt in range(ATTEMPTS):
            pause(attempt)
            handle = self._open()  # one version for the look and the append, so that Delta sees what came between
            known = _processed(handle, pipeline, table)
            missing = {source: count for source, count in rows.items() if (source.uri, source.version) not in known}
            if not missing:
                return False
            if self._append(handle, _rows(pipeline, table, slice_id, missing), _transaction(pipeline, table, missing)):
                return True
        raise Interrupted(f"the ledger in `{self._folder}`: other writers came first {ATTEMPTS} times")

    def _append(self, handle: DeltaTable | None, rows: pa.Table, transaction: Transaction) -> bool:
        """Return False where another writer came first with the same rows, or with the table itself."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            write_deltalake(
                handle if handle is not None else self._folder.as_uri(),
                rows,
                mode="append" if handle is not None else "error",
                # Of two that create the table Delta would add the second's rows unseen, unless told not to try again.
                commit_properties=CommitProperties(
                    app_transactions=[transaction], max_commit_retries=0 if handle is None else None
                ),
            )
        except CommitFailedError:
            return False
        except DeltaError:
            if handle is None and self._open() is not None:
                return False  # created by another process meanwhile
            raise
        if handle is not None:
            _compact(handle)
        return True

    def _open(self) -> DeltaTable | None:
        if not (self._folder / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(self._folder.as_uri())
        except TableNotFoundError:
            return None  # a first writer was killed before its commit


def _processed(handle: DeltaTable | None, pipeline: str, table: str | None) -> set[tuple[str, str]]:
    if handle is None:
        return set()
    wanted = pc.field("pipeline") == pipeline
    if table is not None:
        wanted &= pc.field("table") == table
    rows = handle.to_pyarrow_dataset().to_table(columns=["uri", "version"], filter=wanted)
    return {(str(row["uri"]), str(row["version"])) for row in rows.to_pylist()}


def _compact(handle: DeltaTable) -> None:
    if len(handle.file_uris()) <= COMPACT_ABOVE:
        return
    try:
        handle.optimize.compact()
        handle.vacuum(dry_run=False)  # files that no version of the last week needs
    except CommitFailedError:
        pass  # another process merges them now


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
    """Delta refuses the second of two concurrent commits of one transaction, so a racing retry adds nothing."""
    text = "\0".join([pipeline, table, *sorted(f"{source.uri}\0{source.version}" for source in rows)])
    return Transaction(hashlib.sha256(text.encode()).hexdigest()[:32], 1)
