"""
Files to which several processes append lines.

In a bucket, which cannot append, such a file is a folder with an object for each line, in the order of time.
"""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from airflow_wall.lake.objects import Objects
from airflow_wall.state import locked

_READERS = 16


class LineFiles(Protocol):
    """Files of lines, by key. Each line ends whole, or is not there."""

    def append(self, key: str, line: bytes) -> None:
        """Append a line."""
        ...

    def keys(self, folder: str) -> list[str]:
        """Return the sorted keys of the files in a folder."""
        ...

    def folders(self, folder: str) -> list[str]:
        """Return the sorted names of the folders in a folder."""
        ...

    def size(self, key: str) -> int:
        """Return the number of bytes of a file."""
        ...

    def read(self, key: str, tail: int | None = None) -> list[bytes]:
        """Return the lines of a file, or the whole ones among about its last bytes."""
        ...


class LocalLineFiles:
    """
    Files in a folder.

    :param root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def append(self, key: str, line: bytes) -> None:
        """See `LineFiles.append`."""
        path = self._root / key
        with locked(path.with_name("history")):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # by a process that was killed
                os.write(descriptor, (b"\n" if is_torn else b"") + line + b"\n")
            finally:
                os.close(descriptor)

    def keys(self, folder: str) -> list[str]:
        """See `LineFiles.keys`."""
        return sorted(f"{folder}/{path.name}" for path in (self._root / folder).glob("[!.]*.jsonl"))

    def folders(self, folder: str) -> list[str]:
        """See `LineFiles.folders`."""
        return sorted(path.name for path in (self._root / folder).glob("*") if path.is_dir())

    def size(self, key: str) -> int:
        """See `LineFiles.size`."""
        return (self._root / key).stat().st_size

    def read(self, key: str, tail: int | None = None) -> list[bytes]:
        """See `LineFiles.read`."""
        with (self._root / key).open("rb") as file:
            if tail is not None and self.size(key) > tail:
                file.seek(-tail, os.SEEK_END)
                file.readline()
            return file.read().splitlines()


class ObjectLineFiles:
    """
    Files as folders of objects.

    :param folder: The key of the folder that all files are in.
    """

    def __init__(self, objects: Objects, folder: str) -> None:
        self._objects = objects
        self._folder = folder

    def append(self, key: str, line: bytes) -> None:
        """See `LineFiles.append`."""
        self._objects.put(f"{self._folder}/{key}/{time.time_ns():020}-{uuid.uuid4().hex[:8]}", line)

    def keys(self, folder: str) -> list[str]:
        """See `LineFiles.keys`."""
        return [f"{folder}/{name}" for name in self.folders(folder)]

    def folders(self, folder: str) -> list[str]:
        """See `LineFiles.folders`."""
        return [name.rstrip("/") for name in self._objects.names(f"{self._folder}/{folder}".rstrip("/"))]

    def size(self, key: str) -> int:
        """See `LineFiles.size`."""
        return sum(item.size for item in self._objects.below(f"{self._folder}/{key}"))

    def read(self, key: str, tail: int | None = None) -> list[bytes]:
        """See `LineFiles.read`."""
        items = self._objects.below(f"{self._folder}/{key}")
        first = len(items) if tail is not None else 0
        while tail is not None and first > 0 and tail > 0:
            first -= 1
            tail -= items[first].size
        with ThreadPoolExecutor(_READERS) as pool:
            contents = pool.map(lambda item: self._objects.get(item.key), items[first:])
            return [content[0] for content in contents if content is not None]
