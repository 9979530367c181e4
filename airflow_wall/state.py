"""
Small JSON documents on disk that processes agree through: atomic, versioned, compare-and-set.

Every document carries `format`, the version of its layout. A newer package reads the last two layouts; an older one
refuses to touch a newer document rather than lose what it does not know.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from airflow_wall.errors import Interrupted, WallError

FORMAT = 1
"""Layout version written by this package."""

OLDEST_FORMAT = 1
"""Oldest layout version this package still reads."""

Document = dict[str, Any]


def read(path: Path) -> Document | None:
    """
    Return the document at `path`, or None if it does not exist.

    :raises WallError: the document was written by a newer airflow-wall, or is not a state document.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return from_bytes(content, str(path))


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as it is stored."""
    return json.dumps({**document, "format": FORMAT}, indent=1, sort_keys=True).encode()


def from_bytes(content: bytes, path: str) -> Document:
    """
    Return the document that is stored as these bytes.

    :param path: Its address, for messages.
    :raises WallError: the document was written by a newer airflow-wall, or is not a state document.
    """
    try:
        document = json.loads(content)
        version = document["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise WallError(
            f"`{path}` is not a state document of airflow-wall: {error}",
            hint="restore it from a backup, or move it away to start again without it",
        ) from error
    if not OLDEST_FORMAT <= version <= FORMAT:
        raise WallError(
            f"`{path}` has format {version}; this airflow-wall reads {OLDEST_FORMAT} to {FORMAT}",
            hint="upgrade airflow-wall on every component, then run again",
        )
    return dict(document)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the document at `path` atomically: readers see the old one or the new one, never half of either."""
    write_bytes(path, to_bytes(document))


def create(path: Path, document: Mapping[str, Any]) -> bool:
    """Write the document if there is none yet. Return True if this call wrote it."""
    return create_bytes(path, to_bytes(document))


def create_bytes(path: Path, content: bytes) -> bool:
    """Write a file if there is none yet. Return True if this call wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, content)
    try:
        os.link(temporary, path)  # fails if the name is taken, unlike rename
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically. The content is flushed to disk before it gets its name."""
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces the one at `path` at the end of the block, flushed to disk; or not, if it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def open_without_link(path: Path | str, flags: int) -> int:
    """
    Open a file that is not a symbolic link and return its descriptor. Also serves as `open(opener=...)`.

    :raises WallError: it is a link, which may point anywhere.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise WallError(
                f"`{path}` must be a file, got a symbolic link", hint="remove it, and find out who created it"
            ) from None
        raise


def lies_below(path: Path, root: Path) -> bool:
    """Return True if a path is below the directory `root` after every link in it is followed."""
    real, real_root = path.resolve(), root.resolve()
    return real != real_root and real.is_relative_to(real_root)


def remove_folder(folder: Path, root: Path) -> bool:
    """
    Remove a directory and its content. Return False if it may not be removed.

    A directory is left alone if it is a link, or if a link in its path leads out of `root`.
    """
    if folder.is_symlink() or not lies_below(folder, root):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """
    Hold the lock of the document at `path` while you read, change and write it. Yield a descriptor of the lock.

    The kernel releases the lock when its process ends, even if that process is killed.

    :raises Interrupted: `wait` is False and another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_without_link(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Interrupted(f"`{path}` is being changed by another process") from error
        yield descriptor
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


def sync_folder(folder: Path) -> None:
    """Flush the names of the files in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
