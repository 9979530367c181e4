"""
`files://NAME`: a directory of Parquet or CSV files in `<storage>/published/NAME`.

::

    .staging/<version>/<part>.parquet      invisible to clients
    releases/<version>/<part>.parquet      complete releases
    current.json                           names the release that clients see
    current -> releases/<version>          the same for humans

A reader resolves `current` (or reads `current.json`) once and then reads one release. The files of a release are kept
at least until the next but one release.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from airflow_wall import state
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.publish.base import ReleaseSite, StagedRows, check_options
from airflow_wall.publish.rows import RowStream
from airflow_wall.publish.targets.base import Target
from airflow_wall.row_filter import rows_without
from airflow_wall.text.reserved import PUBLISHED

FORMATS = ("parquet", "csv")
"""Values of the key `format`; the first one is the default."""

_OWNER = ".owner.json"

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
        self.folder = site.storage / PUBLISHED / target.name
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
            with state.writing(self._staging(version) / f"{part}.{kind}") as file:
                _write(rows.rows, kind, file, self.target)
            for other in FORMATS:
                if other != kind:
                    (self._staging(version) / f"{part}.{other}").unlink(missing_ok=True)

    def discard(self, version: str, part: str) -> None:
        """Delete the file of the part."""
        with self._translate_errors():
            if not self._is_owner():
                return
            self._unpublish(version)
            for kind in FORMATS:
                (self._staging(version) / f"{part}.{kind}").unlink(missing_ok=True)

    def count(self, version: str) -> dict[str, int]:
        """Return the number of rows by part."""
        with self._translate_errors():
            folders = (self._staging(version), self._release(version))
            return {
                file.stem: _rows(file)
                for folder in folders
                for kind in FORMATS
                for file in sorted(folder.glob(f"[!.]*.{kind}"))
            }

    def shown(self, pointer: str) -> str | None:  # noqa: ARG002  the directory has only one pointer
        """Return the version that `current.json` names."""
        current = state.read(self.folder / "current.json")
        return None if current is None else current["release"]

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Move the staged directory to the releases, then the pointer, then the link."""
        with self._translate_errors():
            self._claim()
            for version in moves.values():
                if version is not None and self._staging(version).exists():
                    self._release(version).parent.mkdir(parents=True, exist_ok=True)
                    self._staging(version).rename(self._release(version))
                state.write(self.folder / "current.json", {"name": self.owner, "release": version})
                self._link(version)

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase rows in the files of all versions."""
        with self._translate_errors():
            folders = [path for name in (".staging", "releases") for path in (self.folder / name).glob("*/")]
            files = [file for folder in folders for kind in FORMATS for file in folder.glob(f"[!.]*.{kind}")]
            return sum(_erase(file, column, values) for file in files)

    def forget(self, keep: Collection[str]) -> None:
        """Delete the directories of other versions. Do nothing if the directory belongs to another release."""
        with self._translate_errors():
            if not self._is_owner():
                return
            kept = {*keep, self.shown(self.pointer)}
            for parent in (self.folder / ".staging", self.folder / "releases"):
                for folder in parent.iterdir() if parent.exists() else ():
                    if folder.name not in kept:
                        shutil.rmtree(
                            folder, ignore_errors=True
                        )  # a stale try may be writing here; the next call deletes the rest

    def _staging(self, version: str) -> Path:
        return self.folder / ".staging" / version

    def _release(self, version: str) -> Path:
        return self.folder / "releases" / version

    def _unpublish(self, version: str) -> None:
        """Move a version that was shown and reverted back to the staged ones, so that it can be changed."""
        if self._release(version).exists() and self.shown(self.pointer) != version:
            self._staging(version).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another part has just moved it
                self._release(version).rename(self._staging(version))

    def _link(self, version: str | None) -> None:
        link = self.folder / "current"
        if version is None:
            link.unlink(missing_ok=True)
            return
        fresh = self.folder / ".current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("releases") / version, target_is_directory=True)
        fresh.replace(link)

    def _claim(self) -> None:
        state.create(self.folder / _OWNER, {"name": self.owner})
        if not self._is_owner():
            owner = (state.read(self.folder / _OWNER) or {}).get("name")
            raise ReleaseError(
                f"`to`: `{self.target}` belongs to the release `{owner}`, not to `{self.owner}`",
                hint="use another name in `to`, or stage into that release",
            )

    def _is_owner(self) -> bool:
        """Return True if this release has claimed the directory."""
        return (state.read(self.folder / _OWNER) or {}).get("name") == self.owner

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionFault(
                f"`to`: `{self.target}`: directory `{self.folder}` cannot be written: {error.strerror or error}",
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


def _rows(file: Path) -> int:
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    first = pacsv.open_csv(file, parse_options=_CSV).schema.names[0]
    as_bytes = pacsv.ConvertOptions(include_columns=[first], column_types={first: pa.binary()})
    with pacsv.open_csv(file, parse_options=_CSV, convert_options=as_bytes) as reader:
        return sum(batch.num_rows for batch in reader)


def _erase(file: Path, column: str, values: Collection[str]) -> int:
    if file.suffix == ".parquet":
        rows = pq.read_table(file)
        kept = rows_without(rows, column, values)
        if kept.num_rows < rows.num_rows:
            state.write_bytes(file, _content_of_parquet(kept))
        return int(rows.num_rows - kept.num_rows)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
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
        state.write_bytes(file, "".join(kept_lines).encode())
    return erased


def _content_of_parquet(data: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, compression="zstd")
    return sink.getvalue().to_pybytes()
