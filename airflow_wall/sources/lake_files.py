"""
Files of a lake in a bucket as sources. They have the names and versions that they have in a folder.

The version is a digest of the content, so a lake that is copied to a bucket goes on as it was. The tag that the store
gives to the content only decides whether an object is read again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.lake.objects import ObjectInfo
from airflow_wall.sources.digests import Digests
from airflow_wall.sources.kinds.base import LoadedRows
from airflow_wall.sources.listing import DatedFiles, is_hidden
from airflow_wall.sources.objects import read_copies
from airflow_wall.storage.base import SourceVersion

if TYPE_CHECKING:
    from airflow_wall.sources.delivery import Rules
    from airflow_wall.sources.kinds.file import FileSource

_CHUNK = 1 << 20
_SHOWN = 8


@dataclass(frozen=True)
class OpenLakeFiles(DatedFiles):
    """The files of a source in one run, in the bucket of the lake."""

    source: FileSource

    def versions(self) -> list[SourceVersion]:
        """Return the versions of all current files, sorted by name. Names that begin with `.` or `_` are ignored."""
        return self._versions_of([item for item in self._objects() if self.source.matches(item.key, self.lake)])

    def below(self, uri: str) -> str:
        """Return the path of a file below the source; its name if it is the source."""
        return uri.removeprefix(f"{self.source.key}/") if uri != self.source.key else PurePosixPath(uri).name

    def missing(self) -> DataError | None:
        """Return the error for a source without files. It lists what is nearby."""
        if self.day is not None and self.versions():
            return None  # it has files of other dates
        parent = self.source.key.rpartition("/")[0]
        near = self.lake.objects.names(self.source.key) or self.lake.objects.names(parent)
        return DataError(
            f"`source` `{self.source.text}`: no object below `{self.lake.uri(self.source.key)}` matches; nearby are "
            f"{listed(near, _SHOWN) or 'none'}",
            hint="put the files there, or correct the path (relative paths are below `storage`; names that begin with "
            "`.` or `_` are ignored)",
        )

    def current(self, claimed: Sequence[SourceVersion], slice_id: str) -> Sequence[SourceVersion]:
        """Return the versions that the claimed files have now."""
        objects = {item.key: item for item in self._objects()}
        for version in claimed:
            if version.uri not in objects:
                raise self.gone(self.lake.uri(version.uri), slice_id)
        return self._versions_of([objects[version.uri] for version in claimed])

    def read(self, versions: Sequence[SourceVersion], rules: Rules) -> LoadedRows:
        """Return the rows of files. They are copied to the disk of this machine first."""
        return read_copies(self, {version.uri: version for version in versions}, rules, "", self._download)

    def _download(self, version: SourceVersion, path: Path) -> None:
        with path.open("wb") as file:
            try:
                with self.lake.objects.open_read(version.uri) as content:
                    shutil.copyfileobj(content, file, _CHUNK)
            except FileNotFoundError:
                raise self._changed(version.uri) from None
        with path.open("rb") as file:
            if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != version.version:
                raise self._changed(version.uri)

    def _changed(self, uri: str) -> Interrupted:
        return Interrupted(f"`source` `{self.source.text}`: `{self.lake.uri(uri)}` changed while it was read")

    def _objects(self) -> list[ObjectInfo]:
        """Return the objects below the folder of the source, or the one that it names."""
        key, objects = self.source.key, self.lake.objects
        items = objects.below("" if key == "." else key)
        if not self.source.pattern and (single := objects.head(key)) is not None:
            items = [single]
        start = 0 if key == "." else len(key)
        return [item for item in items if not any(map(is_hidden, item.key[start:].split("/")))]

    def _versions_of(self, items: Sequence[ObjectInfo]) -> list[SourceVersion]:
        groups: dict[str, Digests] = {}
        versions = []
        for item in items:
            group = item.key.partition("/")[0]
            if group not in groups:
                groups[group] = Digests(self.lake, group)
            digests = groups[group]
            entry = digests.get(item.key)
            if entry is None or len(entry) != 2 or entry[0] != item.tag:
                entry = [item.tag, self._digest(item.key)]
                digests.remember(item.key, entry)
            versions.append(SourceVersion(item.key, f"sha256:{entry[1]}", item.size))
        present = {item.key for item in items}
        for digests in groups.values():
            digests.save(present.__contains__)
        return sorted(versions, key=lambda version: version.uri)

    def _digest(self, key: str) -> str:
        try:
            with self.lake.objects.open_read(key) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise self._changed(key) from None
