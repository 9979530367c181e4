"""
The versions of files: a digest of the content. Size and times only decide whether a file is read again.

The digests are kept in the lake. If they are lost or damaged, the files are read again, with the same result.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airflow_wall.errors import DataError, WallError
from airflow_wall.lake.documents import Document, change
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import SourceVersion

log = logging.getLogger(__name__)

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file certainly has another time than the reading of its digest."""

_MANY = 1000
"""Number of remembered files above which those that do not exist any more are forgotten."""


def versions_of(paths: Iterable[Path], lake: Lake) -> list[SourceVersion]:
    """
    Return the versions of the files that exist, in the order of their paths.

    :param lake: Files below it are named by their relative path, so that the lake may move.
    :raises DataError: a file cannot be read.
    """
    caches: dict[str, _FileDigests] = {}
    versions = []
    for path in paths:
        uri = lake.key_of(path) or path.as_posix()
        group = uri.partition("/")[0] or str(path.parent)
        if group not in caches:
            caches[group] = _FileDigests(lake, group)
        version = caches[group].version_of(path, uri)
        if version is not None:
            versions.append(version)
    for cache in caches.values():
        cache.save(lambda uri: lake.path_of(uri).exists())
    return versions


def file_stamp(path: Path) -> str | None:
    """Return size and modification time of a file, as in `SourceVersion.stamp`, or None if it does not exist."""
    status = _status(path)
    return None if status is None else f"{status[0]}-{status[1]}"


class Digests:
    """
    The digests of the files below one directory, as the lake remembers them.

    :param group: The directory.
    """

    def __init__(self, lake: Lake, group: str) -> None:
        self.lake = lake
        self._key = f"{hashlib.sha256(group.encode()).hexdigest()[:16]}.json"
        self._documents = lake.documents("digests")
        self._files = self._read()
        self._seen = 0
        self._changed: dict[str, list[Any]] = {}

    def get(self, uri: str) -> list[Any] | None:
        """Return what was remembered about a file, or None."""
        self._seen += 1
        entry = self._files.get(uri)
        return entry if isinstance(entry, list) else None

    def remember(self, uri: str, entry: list[Any]) -> None:
        """Keep what is known about a file, once `save` is called."""
        self._changed[uri] = entry

    def save(self, exists: Callable[[str], bool]) -> None:
        """
        Keep the digests that were read. Of two processes that save at once, the digests of both stay.

        :param exists: Tells whether a file is still there.
        """
        if not self._changed:
            return

        def saved(_: Document | None) -> Document:
            files = {**self._read(), **self._changed}
            if len(files) > _MANY + 2 * self._seen:
                files = {uri: entry for uri, entry in files.items() if exists(uri)}
            return {"files": files}

        try:
            change(self._documents, self._key, saved)
        except WallError as error:
            log.warning("digests are not kept: %s", error)

    def _read(self) -> dict[str, Any]:
        try:
            files = (self._documents.get(self._key) or {}).get("files")
        except (WallError, OSError):
            return {}
        return files if isinstance(files, dict) else {}


class _FileDigests(Digests):
    """The digests of files on this machine."""

    def version_of(self, path: Path, uri: str) -> SourceVersion | None:
        status = _status(path)
        if status is None:
            return None
        size, modified, changed = status
        digest = self._known(uri, status)
        if digest is None:
            read_at = time.time_ns()
            digest = _digest(path)
            if digest is None:
                return None
            self.remember(uri, [size, modified, changed, read_at, digest])
        return SourceVersion(uri, f"sha256:{digest}", size, stamp=f"{size}-{modified}")

    def _known(self, uri: str, status: tuple[int, int, int]) -> str | None:
        entry = self.get(uri)
        if entry is None or len(entry) != 5 or tuple(entry[:3]) != status:
            return None
        _, modified, changed, read_at, digest = entry
        if not isinstance(read_at, int) or not isinstance(digest, str):
            return None
        # A file that changed just before it was read may have changed again within the same tick of the clock.
        return digest if max(modified, changed) + _SETTLED < read_at else None


def _status(path: Path) -> tuple[int, int, int] | None:
    """Return size, modification time and change time of a file, or None if it does not exist."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"`source`: `{path}` cannot be read: {(error.strerror or str(error)).lower()}",
            hint="correct its permissions, or move it away",
        ) from error
