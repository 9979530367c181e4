"""The objects of a lake in a bucket, or in memory, by obstore."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import obstore
from obstore import exceptions

from airflow_wall.connections.buckets import is_denied, reason_of
from airflow_wall.errors import ConnectionFault, Interrupted, WallError
from airflow_wall.lake.objects import ObjectInfo, check_key, scratch_file

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.store import ObjectStore

_ATTEMPTS = 6
_BUFFER = 1 << 20
_MISSING = (FileNotFoundError, exceptions.NotFoundError)
_PROBES = "_wall/probes"


class StoreObjects:
    """
    Objects in a bucket. The first conditional write checks that the store honours conditions.

    A process that was forked after the first use must not use it: obstore would hang.

    :param store: A client of obstore whose prefix is the lake.
    :param address: Address of the lake, without the connection.
    :param hide: Removes the secrets of the connection from a text.
    """

    def __init__(self, store: ObjectStore, address: str, hide: Callable[[str], str] = str) -> None:
        self._store = store
        self._address = address
        self._hide = hide
        self._process = os.getpid()
        self._is_probed = False

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the content of an object and its tag, or None."""
        with self._errors(key):
            try:
                result = obstore.get(self._store, _name(key))
                return bytes(result.bytes()), _tag(cast("Mapping[str, Any]", result.meta))
            except _MISSING:
                return None

    def put(self, key: str, content: bytes) -> None:
        """Write an object, or replace it."""
        with self._errors(key):
            obstore.put(self._store, _name(key), content, use_multipart=False)

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Write an object if there is none."""
        self._probe()
        return self._put_if(key, content, "create")

    def swap(self, key: str, content: bytes, tag: str) -> bool:
        """Replace the object with this tag."""
        self._probe()
        return self._put_if(key, content, cast("PutMode", json.loads(tag)))

    def create_folder(self, key: str, files: Mapping[str, bytes]) -> bool:
        """Write the objects of a new folder, the last one of which makes it complete."""
        for name, content in files.items():
            path = f"{key}/{name}"
            if not self.put_if_absent(path, content) and (self.get(path) or (b"", ""))[0] != content:
                return False
        return True

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        with self._errors(key), contextlib.suppress(*_MISSING):
            obstore.delete(self._store, _name(key))

    def below(self, prefix: str) -> list[ObjectInfo]:
        """Return the objects below a folder."""
        with self._errors(prefix):
            batches = obstore.list(self._store, prefix or None, chunk_size=1_000)
            objects = [_info(meta) for batch in batches for meta in batch]
        return sorted(objects, key=lambda item: item.key)

    def head(self, key: str) -> ObjectInfo | None:
        """Return what a listing says about one object, or None."""
        with self._errors(key):
            try:
                return _info(obstore.head(self._store, _name(key)))
            except _MISSING:
                return None

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below a folder."""
        with self._errors(prefix):
            listing = obstore.list_with_delimiter(self._store, prefix or None)
        folders = (f"{_last(key)}/" for key in listing["common_prefixes"])
        return sorted([*folders, *(_last(meta["path"]) for meta in listing["objects"])])

    def move(self, source: str, target: str) -> None:
        """Copy the objects below a folder, then remove them."""
        objects = self.below(source)
        with self._errors(source):
            for item in objects:
                with contextlib.suppress(*_MISSING):  # another call has moved it
                    obstore.copy(self._store, item.key, target + item.key.removeprefix(source))
        self._delete(objects)

    def remove(self, prefix: str) -> None:
        """Remove the objects below a folder."""
        self._delete(self.below(prefix))

    def _delete(self, objects: Sequence[ObjectInfo]) -> None:
        for item in objects:
            self.delete(item.key)

    @contextlib.contextmanager
    def open_read(self, key: str) -> Iterator[io.BufferedReader]:
        """Open an object as a file that reads in parts."""
        with self._errors(key):
            try:
                size = obstore.head(self._store, _name(key))["size"]
            except _MISSING as error:
                raise FileNotFoundError(key) from error
            yield io.BufferedReader(_RangeReader(self._store, _name(key), size), _BUFFER)

    @contextlib.contextmanager
    def open_write(self, key: str) -> Iterator[BinaryIO]:
        """Open a file on this machine that is uploaded at the end."""
        with scratch_file() as path:
            with path.open("wb") as file:
                yield file
            self.upload(key, path)

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file to an object, in parts if it is large."""
        with self._errors(key):
            obstore.put(self._store, _name(key), path)

    def uri(self, key: str) -> str:
        """Return `s3://bucket/key` or `gs://bucket/key`."""
        return f"{self._address}/{key}".rstrip("/")

    def _put_if(self, key: str, content: bytes, mode: PutMode) -> bool:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311
            if self._put_once(key, content, mode, is_last=attempt == _ATTEMPTS - 1):
                return True
            current = self.get(key)
            if current is not None and current[0] == content:
                return True  # the answer of the first request was lost, and the client has repeated it
            is_unchanged = (
                current is None if mode == "create" else current is not None and json.loads(current[1]) == mode
            )
            if not is_unchanged:
                return False
        raise Interrupted(
            f"`{self.uri(key)}`: the store refused {_ATTEMPTS} times to write it, although nothing has changed it",
            hint="run the task again",
        )

    def _put_once(self, key: str, content: bytes, mode: PutMode, *, is_last: bool) -> bool:
        """Return True if the store has confirmed the write."""
        with self._errors(key):
            try:
                obstore.put(self._store, _name(key), content, mode=mode, use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileExistsError, *_MISSING):
                return False
            except (exceptions.GenericError, OSError) as error:  # the answer may be lost
                if is_last or is_denied(error):
                    raise
                return False
        return True

    def _probe(self) -> None:
        """
        Check once that the store refuses a second creation and a stale replacement.

        :raises ConnectionFault: it accepts them, so several tasks would overwrite each other's state.
        """
        if self._is_probed:
            return
        key = f"{_PROBES}/{uuid.uuid4().hex}"
        try:
            accepted = None
            if not self._put_if(key, b"1", "create") or (first := self.get(key)) is None:
                accepted = "it does not create objects on a condition"
            elif self._put_if(key, b"2", "create"):
                accepted = "it creates an object twice"
            elif not self._put_if(key, b"3", json.loads(first[1])):
                accepted = "it does not replace an object that has not changed"
            elif self._put_if(key, b"4", json.loads(first[1])):
                accepted = "it replaces an object that has changed"
        finally:
            self.delete(key)
        if accepted is not None:
            raise ConnectionFault(
                f"the store of the lake `{self._address}` ignores conditions of writes: {accepted}",
                hint="use Amazon S3, Google Cloud Storage, or a store that honours `If-None-Match` and `If-Match`",
            )
        self._is_probed = True

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Word the errors of the store, without secrets."""
        if os.getpid() != self._process:
            raise RuntimeError(f"`{self._address}` was opened before this process was forked")
        try:
            yield
        except (WallError, *_MISSING):
            raise
        except (exceptions.BaseError, OSError) as error:
            reason = self._hide(reason_of(error))
            if is_denied(error):
                raise ConnectionFault(
                    f"the lake `{self._address}` cannot be used: `{key}`: {reason}",
                    hint="let this identity list, read, write and delete objects below the lake, or correct the "
                    "connection",
                ) from None
            raise Interrupted(
                f"the lake `{self._address}` does not answer: `{key}`: {reason}",
                hint="if this lasts, correct the name of the bucket, its region and the connection's `endpoint_url`",
            ) from None


class _RangeReader(io.RawIOBase):
    """A file that fetches the bytes that are read."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        content = obstore.get_range(self._store, self._key, start=self._at, length=length)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def _info(meta: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], str(meta["e_tag"]))


def _last(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _name(key: str) -> str:
    return "/".join(check_key(key))


def _tag(meta: Mapping[str, Any]) -> str:
    """Return tag and generation of an object as a text that `swap` sends back."""
    return json.dumps({name: meta[name] for name in ("e_tag", "version") if meta[name] is not None})
