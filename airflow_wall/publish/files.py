"""
`files://NAME`: a directory of Parquet or CSV files in `<storage>/published/NAME`.

::

    .staging/<version>/<part>.parquet      invisible to clients
    releases/<version>/<part>.parquet      complete releases
    current.json                           names the release that clients see, and its files
    current -> releases/<version>          the same for humans; not in a bucket

A reader resolves `current` (or reads `current.json`) once and then reads one release. The files of a release are kept
at least until the next but one release.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.lake.documents import Documents, change
from airflow_wall.lake.objects import Objects
from airflow_wall.publish.base import ReleaseSite, StagedRows, check_options
from airflow_wall.publish.rows import RowStream
from airflow_wall.publish.targets.base import Target
from airflow_wall.row_filter import rows_without
from airflow_wall.text.reserved import PUBLISHED

FORMATS = ("parquet", "csv")
"""Values of the key `format`; the first one is the default."""

_OWNER = ".owner.json"
_CURRENT = "current.json"

_CSV = pacsv.ParseOptions(newlines_in_values=True)

_GROUP_ROWS, _GROUP_BYTES = 262_144, 64_000_000
"""Size of a row group of a Parquet file, which is written when one of them is reached."""


class FilesWriter:
    """
    One published directory, and the `PointerStore` of its own pointer.

    :param target: The parsed `to`.
    :param site: The release that publishes it.
    """

    reversible = True

    def __init__(self, target: Target, site: ReleaseSite) -> None:
        self.target = target
        self.owner = site.name
        self.lake = site.lake
        self.folder = f"{PUBLISHED}/{target.name}"
        self._documents = Documents(self.lake.objects, self.folder)
        self.pointer = target.name

    @property
    def place(self) -> FilesWriter:
        """The writer itself: each directory moves on its own."""
        return self

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Write the file of the part, and rename it when it is complete."""
        check_options(rows.options, ("format",), self.target)
        kind = str(rows.options.get("format", FORMATS[0]))
        if kind not in FORMATS:
            accepted = listed(FORMATS, conjunction="or")
            raise ReleaseError(
                f"`format` of `{self.target}` must be {accepted}, got `{kind}`", hint=f"write {accepted}"
            )
        with self._translate_errors():
            self._claim()
            self._unpublish(version)
            with self.lake.objects.open_write(f"{self._staging(version)}/{part}.{kind}") as file:
                _write(rows.rows, kind, file, self.target)
            for other in FORMATS:
                if other != kind:
                    self.lake.objects.delete(f"{self._staging(version)}/{part}.{other}")

    def discard(self, version: str, part: str) -> None:
        """Delete the file of the part."""
        with self._translate_errors():
            if not self._is_owner():
                return
            self._unpublish(version)
            for kind in FORMATS:
                self.lake.objects.delete(f"{self._staging(version)}/{part}.{kind}")

    def count(self, version: str) -> dict[str, int]:
        """Return the number of rows by part."""
        with self._translate_errors():
            folders = (self._staging(version), self._release(version))
            return {key.rpartition("/")[2].rpartition(".")[0]: self._rows(key) for key in self._files(*folders)}

    def shown(self, pointer: str) -> str | None:  # noqa: ARG002  the directory has only one pointer
        """Return the version that `current.json` names."""
        current = self._documents.get(_CURRENT)
        return None if current is None else current["release"]

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Move the staged directory to the releases, then the pointer, then the link."""
        with self._translate_errors():
            self._claim()
            for version in moves.values():
                self._show(version)

    def _show(self, version: str | None) -> None:
        files: list[str] = []
        if version is not None:
            if self._files(self._staging(version)):
                self.lake.objects.move(self._staging(version), self._release(version))
            start = len(self.folder) + 1
            files = [key[start:] for key in self._files(self._release(version))]
        change(self._documents, _CURRENT, lambda _: {"name": self.owner, "release": version, "files": files})
        self.lake.link(f"{self.folder}/current", None if version is None else f"releases/{version}")

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase rows in the files of all versions."""
        with self._translate_errors():
            parents = (f"{self.folder}/.staging", f"{self.folder}/releases")
            folders = [f"{one}/{name[:-1]}" for one in parents for name in self.lake.objects.names(one)]
            return sum(_erase(self.lake.objects, key, column, values) for key in self._files(*folders))

    def forget(self, keep: Collection[str]) -> None:
        """Delete the directories of other versions. Do nothing if the directory belongs to another release."""
        with self._translate_errors():
            if not self._is_owner():
                return
            kept = {*keep, self.shown(self.pointer)}
            for parent in (f"{self.folder}/.staging", f"{self.folder}/releases"):
                for name in self.lake.objects.names(parent):
                    if name.rstrip("/") not in kept:  # a stale try may be writing here; the next call deletes the rest
                        self.lake.objects.remove(f"{parent}/{name.rstrip('/')}")

    def _staging(self, version: str) -> str:
        return f"{self.folder}/.staging/{version}"

    def _release(self, version: str) -> str:
        return f"{self.folder}/releases/{version}"

    def _files(self, *folders: str) -> list[str]:
        """Return the sorted keys of the files of parts in folders."""
        return [
            f"{folder}/{name}"
            for folder in folders
            for name in self.lake.objects.names(folder)
            if not name.startswith(".") and name.rpartition(".")[2] in FORMATS
        ]

    def _rows(self, key: str) -> int:
        with self.lake.objects.open_read(key) as file:
            if key.endswith(".parquet"):
                return int(pq.read_metadata(file).num_rows)
            first = pacsv.open_csv(file, parse_options=_CSV).schema.names[0]
            as_bytes = pacsv.ConvertOptions(include_columns=[first], column_types={first: pa.binary()})
        with (
            self.lake.objects.open_read(key) as file,
            pacsv.open_csv(file, parse_options=_CSV, convert_options=as_bytes) as reader,
        ):
            return sum(batch.num_rows for batch in reader)

    def _unpublish(self, version: str) -> None:
        """Move a version that was shown and reverted back to the staged ones, so that it can be changed."""
        if self._files(self._release(version)) and self.shown(self.pointer) != version:
            self.lake.objects.move(self._release(version), self._staging(version))

    def _claim(self) -> None:
        if not self._is_owner() and not self._documents.create(_OWNER, {"name": self.owner}):
            owner = (self._documents.get(_OWNER) or {}).get("name")
            raise ReleaseError(
                f"`to`: `{self.target}` belongs to the release `{owner}`, not to `{self.owner}`",
                hint="use another name in `to`, or stage into that release",
            )

    def _is_owner(self) -> bool:
        """Return True if this release has claimed the directory."""
        return (self._documents.get(_OWNER) or {}).get("name") == self.owner

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionFault(
                f"`to`: `{self.target}`: directory `{self.lake.place(self.folder)}` cannot be written: "
                f"{error.strerror or error}",
                hint="give the worker's user write access to it, or correct `storage`",
            ) from error


def _write(rows: RowStream, kind: str, file: BinaryIO, target: Target) -> None:
    try:
        if kind == "csv":
            with pacsv.CSVWriter(file, rows.schema) as csv:
                for batch in rows.batches():
                    csv.write_batch(batch)
        else:
            with pq.ParquetWriter(file, rows.schema, compression="zstd") as parquet:
                for group in _groups(rows):
                    parquet.write_table(group)
    except (pa.ArrowException, NotImplementedError) as error:
        raise DataError(
            f"`{target}`: the rows cannot be written as `{kind}`: {error}", hint="set `format: parquet`"
        ) from error


def _groups(rows: RowStream) -> Iterator[pa.Table]:
    """Yield the rows in tables of about the size of a row group of a Parquet file."""
    waiting: list[pa.RecordBatch] = []
    for batch in rows.batches():
        waiting.append(batch)
        if (
            sum(held.num_rows for held in waiting) >= _GROUP_ROWS
            or sum(held.nbytes for held in waiting) >= _GROUP_BYTES
        ):
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _erase(objects: Objects, key: str, column: str, values: Collection[str]) -> int:
    content, _ = objects.get(key) or (b"", "")
    if key.endswith(".parquet"):
        rows = pq.read_table(pa.BufferReader(content))
        kept = rows_without(rows, column, values)
        if kept.num_rows < rows.num_rows:
            objects.put(key, _content_of_parquet(kept))
        return int(rows.num_rows - kept.num_rows)
    lines = content.decode().splitlines(keepends=True)
    reader, begin, kept_lines, erased = csv.reader(lines), 0, list[str](), 0
    place: int | None = None
    for row in reader:
        if begin == 0:
            place = row.index(column) if column in row else None
        if place is not None and begin > 0 and len(row) > place and row[place] in values:
            erased += 1
        else:
            kept_lines += lines[begin : reader.line_num]
        begin = reader.line_num
    if erased:
        objects.put(key, "".join(kept_lines).encode())
    return erased


def _content_of_parquet(data: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, compression="zstd")
    return sink.getvalue().to_pybytes()
