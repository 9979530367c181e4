"""
Small JSON documents on disk that processes agree through: atomic, versioned, compare-and-set.

Every document carries `format`, the version of its layout. A newer package reads the last two layouts; an older one
refuses to touch a newer document rather than lose what it does not know.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_wall.errors import Interrupted, WallError

FORMAT = 1
"""Layout version written by this package."""

OLDEST_FORMAT = 1
"""Oldest layout version this package still reads."""

Document = dict[str, Any]


def read(path: Path) -> Document | None:
    """
    Return the document at `path`, or None where there is none.

    :raises WallError: the document was written by a newer airflow-wall, or is not one of ours.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        document = json.loads(text)
        version = document["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise WallError(
            f"`{path}` is not a state document of airflow-wall: {error}",
            hint="restore it from a backup, or move it away to begin anew",
        ) from error
    if not OLDEST_FORMAT <= version <= FORMAT:
        raise WallError(
            f"`{path}` has format {version}; this airflow-wall reads {OLDEST_FORMAT} to {FORMAT}",
            hint="upgrade airflow-wall on every component, then run again",
        )
    return dict(document)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the document at `path` in one step: readers see the old one or the new one, never half of either."""
    write_bytes(path, json.dumps({**document, "format": FORMAT}, indent=1, sort_keys=True).encode())


def create(path: Path, document: Mapping[str, Any]) -> bool:
    """Write the document only if there is none yet. Return whether this call wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, json.dumps({**document, "format": FORMAT}, indent=1, sort_keys=True).encode())
    try:
        os.link(temporary, path)  # fails if the name is taken, unlike rename
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_folder(path.parent)
    return True


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step, flushed to disk before its name changes hands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, content)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """
    Hold the lock that belongs to the document at `path`, for a read-change-write.

    The lock is the kernel's, so it ends with its process, however that dies.

    :raises Interrupted: `wait` is False and another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Interrupted(f"`{path}` is being changed by another process") from error
        yield
    finally:
        os.close(descriptor)


def _temporary(path: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary = Path(name)
    temporary.chmod(0o644)
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
