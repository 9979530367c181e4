"""
Files as sources: a file, a folder (all that is below it) or a pattern, in the local file system.

A file's version is its size and the nanosecond it was last changed. A digest of the content would cost a read of the
whole landing folder at every listing; a file that is only touched costs one more ingest, which replaces its rows by
the same rows. Files are expected to be renamed into place: names that begin with `.` or `_` are left alone.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from airflow_wall.errors import DataError
from airflow_wall.storage.base import SourceVersion

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SQL = re.compile(r"sql://(?P<connection>[^/\s]+)/(?:(?P<schema>[^/.\s]+)\.)?(?P<table>[^/.\s]+)")
_SIGNS = re.compile(r"[*?\[]")
_LISTED = 8


@dataclass(frozen=True)
class FileSource:
    """
    :param text: The source as the YAML writes it.
    :param root: Absolute path of the file or folder that all matching files are below.
    :param pattern: The parts of the pattern below `root`; () means all.
    :param storage: Files below it are named by their path in it, so that the lake may move.
    """

    text: str
    root: Path
    pattern: tuple[str, ...]
    storage: Path

    def versions(self) -> list[SourceVersion]:
        """Return what is there now, sorted by name; [] also where there is no such folder."""
        found = []
        for path in _files(self.root):
            if self.pattern and not _match(path.relative_to(self.root).parts, self.pattern):
                continue
            version = self.version(path)
            if version is not None:
                found.append(version)
        return sorted(found, key=lambda version: version.uri)

    def version(self, path: Path) -> SourceVersion | None:
        """Return the version of one file, or None where it is not there (any more)."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return SourceVersion(self.uri(path), f"{status.st_size}-{status.st_mtime_ns}", status.st_size)

    def uri(self, path: Path) -> str:
        """Return the name of a file: its path in the storage if it is there, else its absolute path."""
        return (path.relative_to(self.storage) if path.is_relative_to(self.storage) else path).as_posix()

    def path(self, uri: str) -> Path:
        """Return the file of that name."""
        return self.storage / uri

    def matches(self, uri: str) -> bool:
        """Return whether the name of a file is one of this source, be the file there or not."""
        path = self.path(uri)
        if path == self.root:
            return not self.pattern
        if not path.is_relative_to(self.root):
            return False
        return not self.pattern or _match(path.relative_to(self.root).parts, self.pattern)

    def covers(self, other: FileSource) -> bool:
        """Return whether files of `other` can be among those of this source: `landing` covers `landing/domain_1`."""
        if not other.root.is_relative_to(self.root):
            return False
        below = other.root.relative_to(self.root).parts
        return not self.pattern or self.pattern == other.pattern or _leads(below, self.pattern)

    def missing(self, *, key: str = "source") -> DataError:
        """The error that says that there is nothing, and what there is instead."""
        if self.root.exists():
            signs = "/".join(self.pattern) or "*"
            return DataError(
                f"`{key}` `{self.text}`: no file in `{self.root}` matches `{signs}`; it {_holds(self.root)}",
                hint="put the files there, or correct the path (relative paths are below `storage`; "
                "names that begin with `.` or `_` do not count)",
            )
        parent = next(folder for folder in self.root.parents if folder.is_dir())
        return DataError(
            f"`{key}` `{self.text}`: there is no `{self.root}`; `{parent}` {_holds(parent)}",
            hint="create it, or correct the path (relative paths are below `storage`)",
        )


def is_sql(source: str) -> bool:
    """Return whether a source of the YAML means a SQL table."""
    return source.startswith("sql://")


def sql_parts(source: str) -> re.Match[str]:
    """
    Return the parts `connection`, `schema` and `table` of a source that means a SQL table.

    :raises DataError: the source is no `sql://connection/table`.
    """
    parts = _SQL.fullmatch(source)
    if parts is None:
        raise DataError(
            f"`source` must be `sql://connection/table`, got `{source}`", hint="write, e.g., `sql://warehouse/orders`"
        )
    return parts


def check_source(source: str) -> None:
    """
    Check how a source of the YAML is written. Nothing is looked at.

    :raises DataError: it is no source.
    """
    if is_sql(source):
        sql_parts(source)
    else:
        _path_parts(source, "source")


def file_source(text: str, storage: Path, *, key: str = "source") -> FileSource:
    """
    Return the files that a source of the YAML means. Relative paths are below `storage`.

    :raises DataError: the source is empty, leaves its folder by `..`, or is of a scheme that is not supported.
    """
    parts = _path_parts(text, key)
    first = next((place for place, part in enumerate(parts) if _SIGNS.search(part)), len(parts))
    return FileSource(text, storage / Path(*parts[:first]), parts[first:], storage)


def _path_parts(text: str, key: str) -> tuple[str, ...]:
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1].lower() != "file":
        raise DataError(
            f"`{key}` `{text}`: `{scheme[1]}://` is not supported by this version",
            hint="name a path, `file:///path` or `sql://connection/table`",
        )
    path = text[scheme.end() :] if scheme is not None else text
    parts = PurePath(path).parts
    if not path.strip() or ".." in parts:
        raise DataError(
            f"`{key}` must be a path without `..`, got `{text}`", hint="write a path such as `landing/orders`"
        )
    return parts


def unchanged(source: FileSource, versions: Iterable[SourceVersion]) -> bool:
    """Return whether the files still have these versions."""
    return all(source.version(source.path(version.uri)) == version for version in versions)


def _files(root: Path) -> Iterable[Path]:
    if root.is_file():
        yield root
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith((".", "_"))]
        yield from (Path(folder, name) for name in names if not name.startswith((".", "_")))


def _match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_match(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])


def _leads(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether something below the folder `parts` can match the pattern."""
    if not parts:
        return bool(pattern)
    if not pattern:
        return False
    return pattern[0] == "**" or (fnmatch.fnmatchcase(parts[0], pattern[0]) and _leads(parts[1:], pattern[1:]))


def _holds(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir()) if folder.is_dir() else []
    listed = ", ".join(f"`{name}`" for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"holds {listed or 'nothing'}"
