"""A path or `file:///path`: a file, a directory with all files below it, or a pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Self

from airflow_wall.connections.dataset_names import DatasetName, name_of_uri
from airflow_wall.errors import DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.sources.kinds.base import OpenSource, Source, SourceSite
from airflow_wall.sources.listing import OpenFiles, first_sign, leads_to, match, slice_day, versions_below
from airflow_wall.storage.base import SourceVersion

_SCHEME = re.compile(r"file://", re.IGNORECASE)


@dataclass(frozen=True)
class FileSource(Source):
    """
    Files.

    :param parts: The parts of the path, which may hold patterns.
    """

    forms = ("a path", "`file:///path`")
    plural = "files"
    keys = frozenset({"format", "options", "by"})

    parts: tuple[str, ...]

    @property
    def in_lake(self) -> bool:
        """True if the path is relative."""
        return not PurePath(*self.parts).is_absolute() and not _SCHEME.match(self.text)

    @property
    def pattern(self) -> tuple[str, ...]:
        """The parts of the pattern below the root; () matches all files."""
        return self.parts[first_sign(self.parts) :]

    @property
    def key(self) -> str:
        """The key of the file in the lake, or of the folder that all matching files are below."""
        return PurePath(*self.parts[: first_sign(self.parts)]).as_posix()

    def root(self, lake: Lake) -> Path:
        """Return the absolute path of the file, or of the directory that all matching files are below."""
        return lake.path_of(self.key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the files that a path names. Relative paths are below the storage."""
        parts = cls._parts(text)
        if not _SCHEME.sub("", text).strip() or ".." in parts:
            raise DataError(
                f"`source` must be a path without `..`, got `{text}`", hint="write a path such as `landing/orders`"
            )
        return cls(text, parts)

    @classmethod
    def parse_beginning(cls, text: str) -> Self | None:
        """Return the files of a path whose end is not known yet."""
        return cls(text, cls._parts(text))

    @staticmethod
    def _parts(text: str) -> tuple[str, ...]:
        return PurePath(_SCHEME.sub("", text, count=1)).parts

    def open(self, site: SourceSite, keys: Mapping[str, Any]) -> OpenSource:
        """
        Return the files of a run. They need not exist.

        :param keys: `format`: `csv`, `jsonl` or `parquet`, which by default follows from the names of the files;
            `options`: options of the format, e.g. `{delim: ";"}`; `by`: `date` for the files of the slice's date only.
        :raises DataError: `by` is unknown, or the slice has no date.
        """
        day = slice_day(site.run, keys["by"]) if "by" in keys else None
        lake = site.run.storage
        if self.in_lake and lake.folder is None:
            from airflow_wall.sources.lake_files import OpenLakeFiles

            return OpenLakeFiles(self, lake, keys.get("format"), keys.get("options") or {}, day)
        return OpenFiles(self, lake, keys.get("format"), keys.get("options") or {}, day)

    def dataset(self, site: SourceSite) -> DatasetName:
        """Return the name of the file, or of the directory that all matching files are below."""
        lake = site.run.storage
        if self.in_lake:
            return name_of_uri(lake.uri("" if self.key == "." else self.key))
        return DatasetName("file", self.root(lake).as_posix())

    def depth(self, lake: Lake) -> int:
        """Return the number of directories that its files are below."""
        return len(self.root(lake).parts)

    def covers(self, other: Source, lake: Lake) -> bool:
        """Return True if files of `other` can belong to this source."""
        if not isinstance(other, FileSource) or not other.root(lake).is_relative_to(self.root(lake)):
            return False
        below = other.root(lake).relative_to(self.root(lake)).parts
        return not self.pattern or self.pattern == other.pattern or leads_to(below, self.pattern)

    def matches(self, uri: str, lake: Lake) -> bool:
        """Return True if a file of this name belongs to the source."""
        path, root = lake.path_of(uri), self.root(lake)
        if path == root:
            return not self.pattern
        if not path.is_relative_to(root):
            return False
        return not self.pattern or match(path.relative_to(root).parts, self.pattern)

    def local_versions(self, lake: Lake) -> list[SourceVersion]:
        """Return the versions of all current files, sorted by name, or [] if the directory does not exist."""
        if self.in_lake and lake.folder is None:
            return []
        return versions_below(self.root(lake), self.pattern, lake)
