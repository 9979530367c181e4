"""
`files://NAME`: a folder of Parquet or CSV files below `<storage>/published/NAME`.

::

    .staging/<version>/<part>.parquet      unseen
    releases/<version>/<part>.parquet      whole releases
    current.json                           names the one that clients see
    current -> releases/<version>          the same for humans

A reader resolves `current` (or reads `current.json`) once and then reads one release, which stays for one more release.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from airflow_wall import state
from airflow_wall.errors import ConnectionFault, DataError, ReleaseError
from airflow_wall.publish.address import Address
from airflow_wall.publish.base import Rows, Site, check_options

FORMATS = ("parquet", "csv")
"""Values of the key `format`; the first is the default."""


class FilesTarget:
    """
    One published folder; the `Place` of its own pointer.

    :param address: Its `to`.
    :param site: The release that publishes it.
    """

    reversible = True

    def __init__(self, address: Address, site: Site) -> None:
        self.address = address
        self.owner = site.name
        self.folder = site.storage / "published" / address.name
        self.pointer = address.name

    @property
    def place(self) -> FilesTarget:
        """Itself: each folder moves on its own."""
        return self

    def stage(self, version: str, part: str, rows: Rows) -> None:
        """Write the file of the part, and give it its name when it is whole."""
        check_options(rows.options, ("format",), self.address.to)
        kind = str(rows.options.get("format", FORMATS[0]))
        if kind not in FORMATS:
            accepted = " or ".join(f"`{name}`" for name in FORMATS)
            raise ReleaseError(
                f"`format` of `{self.address.to}` must be {accepted}, got `{kind}`", hint=f"write {accepted}"
            )
        content = _content(rows.data, kind, self.address.to)
        with self._faults():
            self._claim()
            self._recall(version)
            state.write_bytes(self._staging(version) / f"{part}.{kind}", content)
            for other in FORMATS:
                if other != kind:
                    (self._staging(version) / f"{part}.{other}").unlink(missing_ok=True)

    def discard(self, version: str, part: str) -> None:
        """Drop the file of the part."""
        with self._faults():
            self._recall(version)
            for kind in FORMATS:
                (self._staging(version) / f"{part}.{kind}").unlink(missing_ok=True)

    def count(self, version: str) -> dict[str, int]:
        """Rows by part."""
        with self._faults():
            folders = (self._staging(version), self._release(version))
            return {
                file.stem: _rows(file)
                for folder in folders
                for kind in FORMATS
                for file in sorted(folder.glob(f"[!.]*.{kind}"))
            }

    def shown(self, pointer: str) -> str | None:  # noqa: ARG002  the folder has one pointer
        """The version that `current.json` names."""
        current = state.read(self.folder / "current.json")
        return None if current is None else current["release"]

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Move the staged folder among the releases, then the pointer, then the link."""
        with self._faults():
            for version in moves.values():
                if version is not None and self._staging(version).exists():
                    self._release(version).parent.mkdir(parents=True, exist_ok=True)
                    self._staging(version).rename(self._release(version))
                state.write(self.folder / "current.json", {"name": self.owner, "release": version})
                self._link(version)

    def forget(self, keep: Collection[str]) -> None:
        """Drop the folders of other versions."""
        with self._faults():
            kept = {*keep, self.shown(self.pointer)}
            for parent in (self.folder / ".staging", self.folder / "releases"):
                for folder in parent.iterdir() if parent.exists() else ():
                    if folder.name not in kept:
                        shutil.rmtree(folder, ignore_errors=True)  # a late try may be writing; the next call ends it

    def _staging(self, version: str) -> Path:
        return self.folder / ".staging" / version

    def _release(self, version: str) -> Path:
        return self.folder / "releases" / version

    def _recall(self, version: str) -> None:
        """Take back among the staged what was shown and put back, so that it can be changed."""
        if self._release(version).exists() and self.shown(self.pointer) != version:
            self._staging(version).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another part has just done so
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
        if state.create(self.folder / ".owner.json", {"name": self.owner}):
            return
        owner = (state.read(self.folder / ".owner.json") or {}).get("name")
        if owner != self.owner:
            raise ReleaseError(
                f"`to`: `{self.address.to}` belongs to the release `{owner}`, not to `{self.owner}`",
                hint="name another folder in `to`, or stage into that release",
            )

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionFault(
                f"`to`: `{self.address.to}`: folder `{self.folder}` cannot be written: {error.strerror or error}",
                hint="let the worker's user write there, or mend `storage`",
            ) from error


def _content(data: pa.Table, kind: str, to: str) -> bytes:
    sink = pa.BufferOutputStream()
    try:
        if kind == "csv":
            pacsv.write_csv(data, sink)
        else:
            pq.write_table(data, sink, compression="zstd")
    except (pa.ArrowException, NotImplementedError) as error:
        raise DataError(f"`{to}`: the rows cannot be written as `{kind}`: {error}", hint="write `parquet`") from error
    return sink.getvalue().to_pybytes()


def _rows(file: Path) -> int:
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    options: dict[str, Any] = {"parse_options": pacsv.ParseOptions(newlines_in_values=True)}
    return int(pacsv.read_csv(file, **options).num_rows)
