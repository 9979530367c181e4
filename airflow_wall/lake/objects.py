"""
The objects of a lake: bytes by key, e.g. `bronze/orders/_delta_log/00000000000000000000.json`.

A folder and a bucket have the same methods with the same guarantees. A read returns a tag, and a write can name the tag
that it replaces. What a write has made visible is complete and survives a loss of power.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from airflow_wall import state


@dataclass(frozen=True)
class ObjectInfo:
    """
    One object in a listing.

    :param size: Bytes.
    :param tag: Differs if the content does; empty in a folder.
    """

    key: str
    size: int
    tag: str = ""


class Objects(Protocol):
    """
    Objects by key. A key is a relative path without `..`.

    Every method raises WallError if the store does not answer or refuses.
    """

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the content of an object and its tag, or None if it does not exist."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Write an object, or replace it. Readers see the old content or the new one."""
        ...

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """
        Write an object if there is none. Return True if this call wrote it.

        Give each writer another content: after a lost answer, the content says whether the call wrote it.
        """
        ...

    def swap(self, key: str, content: bytes, tag: str) -> bool:
        """
        Replace the object that `get` returned with this tag. Return False if it has changed since.

        Let no object have a content that it had before: a tag may depend on the content alone.
        """
        ...

    def create_folder(self, key: str, files: Mapping[str, bytes]) -> bool:
        """
        Write the files of a new folder. Return False if another call has written it, or has begun to.

        The folder is complete once its last file is there. A call that is killed may leave the others in a bucket.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        ...

    def below(self, prefix: str) -> list[ObjectInfo]:
        """Return the objects below a folder such as `bronze/orders`, or of the whole lake with "", sorted by key."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Return what a listing says about one object, or None if it does not exist."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the sorted names of the objects directly below a folder, and of the folders, which end in `/`."""
        ...

    def move(self, source: str, target: str) -> None:
        """Move what is below a folder to another one. A bucket moves one object after the other: repeat the call."""
        ...

    def remove(self, prefix: str) -> None:
        """Remove everything below a folder, which another process may be filling: then some may stay."""
        ...

    def open_read(self, key: str) -> contextlib.AbstractContextManager[io.BufferedReader]:
        """Open an object as a file that can be read in any order. Raises FileNotFoundError if it does not exist."""
        ...

    def open_write(self, key: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a file that becomes the object when it is closed without an error."""
        ...

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file to an object."""
        ...

    def uri(self, key: str) -> str:
        """Return the address of an object or folder, as delta-rs and DuckDB take it. It names no connection."""
        ...


class LocalObjects:
    """
    Files in a folder, flushed to disk before they get their name.

    :param folder: The folder. The first object creates it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the content of a file and its tag, or None."""
        try:
            content = self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content, _tag(content)

    def put(self, key: str, content: bytes) -> None:
        """Write a file, or replace it."""
        state.write_bytes(self.path(key), content)

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Write a file if there is none."""
        return state.create_bytes(self.path(key), content)

    def swap(self, key: str, content: bytes, tag: str) -> bool:
        """Replace the file with this tag."""
        path = self.path(key)
        if not path.parent.is_dir():
            return False
        with state.locked(path):
            current = self.get(key)
            if current is None or current[1] != tag:
                return False
            state.write_bytes(path, content)
        return True

    def create_folder(self, key: str, files: Mapping[str, bytes]) -> bool:
        """Write the files of a new folder, which gets its name when all of them are there."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with state.locked(path.parent):
            for leftover in path.parent.glob(".*.tmp/"):  # we hold the lock, so its writer is dead
                shutil.rmtree(leftover)
            folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
            folder.chmod(0o755)
            for name, content in files.items():
                state.write_bytes(folder / name, content)
            try:
                folder.rename(path)
            except OSError:
                shutil.rmtree(folder)
                if not path.exists():
                    raise
                return False
            state.sync_folder(path.parent)
        return True

    def delete(self, key: str) -> None:
        """Remove a file, if there is one."""
        self.path(key).unlink(missing_ok=True)

    def below(self, prefix: str) -> list[ObjectInfo]:
        """Return the files below a folder."""
        objects = []
        for folder, _, names in os.walk(self._folder_of(prefix)):
            for name in names:
                path = Path(folder, name)
                if not _is_auxiliary(name):
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        objects.append(ObjectInfo(path.relative_to(self.folder).as_posix(), path.stat().st_size))
        return sorted(objects, key=lambda item: item.key)

    def head(self, key: str) -> ObjectInfo | None:
        """Return key and size of a file, or None."""
        path = self.path(key)
        return ObjectInfo(key, path.stat().st_size) if path.is_file() else None

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below a folder."""
        try:
            paths = [path for path in self._folder_of(prefix).iterdir() if not _is_auxiliary(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(path.name + "/" * path.is_dir() for path in paths)

    def move(self, source: str, target: str) -> None:
        """Rename a folder."""
        with contextlib.suppress(FileNotFoundError):  # another call has moved it
            self.path(target).parent.mkdir(parents=True, exist_ok=True)
            self.path(source).rename(self.path(target))

    def remove(self, prefix: str) -> None:
        """Remove a folder."""
        shutil.rmtree(self.path(prefix), ignore_errors=True)

    @contextlib.contextmanager
    def open_read(self, key: str) -> Iterator[io.BufferedReader]:
        """Open a file."""
        with self.path(key).open("rb") as file:
            yield file

    @contextlib.contextmanager
    def open_write(self, key: str) -> Iterator[BinaryIO]:
        """Open a file that gets its name at the end."""
        with state.writing(self.path(key)) as file:
            yield file

    def upload(self, key: str, path: Path) -> None:
        """Copy a file."""
        with path.open("rb") as source, self.open_write(key) as file:
            shutil.copyfileobj(source, file, 1 << 20)

    def uri(self, key: str) -> str:
        """Return a `file://` address."""
        return (self.path(key) if key else self.folder).absolute().as_uri()

    def path(self, key: str) -> Path:
        """Return the path of a file."""
        return self.folder.joinpath(*check_key(key))

    def _folder_of(self, prefix: str) -> Path:
        return self.path(prefix) if prefix else self.folder


@contextlib.contextmanager
def scratch_file() -> Iterator[Path]:
    """Yield the path of a temporary file on this machine."""
    with tempfile.TemporaryDirectory(prefix="airflow-wall-") as folder:
        yield Path(folder, "object")


def check_key(key: str) -> tuple[str, ...]:
    """
    Return the parts of a key.

    :raises ValueError: it is empty, absolute, or leads out of the lake.
    """
    parts = PurePosixPath(key).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise ValueError(f"`{key}` must be a relative path without `..`")
    return parts


def _is_auxiliary(name: str) -> bool:
    """Return True for the lock of a file, and for a file that has not got its name yet."""
    return name.startswith(".") and name.endswith((".lock", ".tmp"))


def _tag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
