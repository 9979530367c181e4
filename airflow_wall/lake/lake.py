"""
A lake: a folder, `s3://connection@bucket/prefix` or `gs://connection@bucket/prefix`.

Everything that touches a lake gets it from here: objects, documents of our own state, leases, and the addresses of
tables. Outside this package no path in a lake is computed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import posixpath
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Self

from airflow_wall import state
from airflow_wall.connections.buckets import gs_store, gs_table_options, s3_store, s3_table_options
from airflow_wall.connections.info import ConnectionInfo, Connections
from airflow_wall.errors import ConnectionFault, SettingsError
from airflow_wall.lake.documents import Documents
from airflow_wall.lake.lease import DocumentLeases, Leases, LocalLeases
from airflow_wall.lake.lines import LineFiles, LocalLineFiles, ObjectLineFiles
from airflow_wall.lake.objects import LocalObjects, Objects, check_key
from airflow_wall.text.reserved import STATE

SCHEMES = ("s3", "gs")
"""How the address of a lake in a bucket begins."""

_FORM = re.compile(
    r"(?P<scheme>[a-z0-9]+)://(?:(?P<conn_id>[^/@\s:\\]+)@)?(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])"
    r"(?P<prefix>(?:/[^/\x00-\x1f\\]+)*)/?",
)


class Lake:
    """
    A lake. It is opened in the process that uses it, when it is first used.

    :param address: A path, or the address of a bucket.
    :param connections: Returns the Airflow connection that the address names.
    :raises SettingsError: the address is not one of a lake.
    """

    def __init__(self, address: str | Path, connections: Connections | None = None) -> None:
        text = str(address)
        self._connections = connections
        self._bucket = None if "://" not in text else _parse(text)
        self.folder: Path | None = Path(text).absolute() if self._bucket is None else None
        self.address = text if self.folder is None else str(self.folder)

    @classmethod
    def of(cls, place: Lake | str | Path) -> Lake:
        """Return a lake itself, or the lake at an address."""
        return place if isinstance(place, Lake) else cls(place)

    @property
    def conn_id(self) -> str:
        """The Airflow connection of its bucket; empty for a folder, and for the identity of the machine or pod."""
        return "" if self._bucket is None else self._bucket["conn_id"]

    @functools.cached_property
    def objects(self) -> Objects:
        """Its objects."""
        if self.folder is not None:
            return LocalObjects(self.folder)
        assert self._bucket is not None
        from airflow_wall.lake.store import StoreObjects  # imports obstore

        connection, bucket = self._connection(), self._bucket["bucket"]
        prefix = self._bucket["prefix"].strip("/") or None
        open_store = s3_store if self._bucket["scheme"] == "s3" else gs_store
        store = open_store(bucket, connection, prefix)
        return StoreObjects(store, self.uri(""), str if connection is None else connection.hide)

    def documents(self, *folder: str) -> Documents:
        """Return the documents of our own state, or those below a folder of it."""
        return Documents(self.objects, self.state_key(*folder))

    def state_key(self, *parts: str) -> str:
        """Return the key of an object of our own state."""
        return "/".join((STATE, *parts))

    def lines(self, *folder: str) -> LineFiles:
        """Return the files of lines below a folder of our own state."""
        if self.folder is not None:
            return LocalLineFiles(self.folder.joinpath(STATE, *folder))
        return ObjectLineFiles(self.objects, self.state_key(*folder))

    def leases(self, *folder: str) -> Leases:
        """Return the leases of our own state, or those below a folder of it."""
        if self.folder is not None:
            return LocalLeases(self.folder.joinpath(STATE, *folder))
        return DocumentLeases(self.documents("leases", *folder))

    def uri(self, key: str) -> str:
        """Return the address of a folder of the lake, as delta-rs takes it. It names no connection."""
        if self.folder is not None:
            return LocalObjects(self.folder).uri(key)
        assert self._bucket is not None
        scheme, bucket, prefix = self._bucket["scheme"], self._bucket["bucket"], self._bucket["prefix"]
        return f"{scheme}://{bucket}{prefix}/{key}".rstrip("/")

    def place(self, key: str) -> str:
        """Return the path or address of something in the lake, for messages."""
        return str(self.folder / key) if self.folder is not None else self.uri(key)

    def prepare_folder(self, key: str) -> None:
        """Create a folder, where the store has folders."""
        if self.folder is not None:
            (self.folder / key).mkdir(parents=True, exist_ok=True)

    def lacks_folder(self, key: str) -> bool:
        """Return True if the lake is in a folder and has no folder `key`. A bucket is not asked."""
        return self.folder is not None and not (self.folder / key).is_dir()

    def folders_with(self, name: str, enters: Callable[[str], bool]) -> list[str]:
        """
        Return the sorted keys of the folders that have a folder of this name. They are never inside each other.

        :param enters: Returns False for a name of a folder that is left out.
        """
        keys, pending = [], [""]
        while pending:
            folder = pending.pop()
            below = [entry[:-1] for entry in self.objects.names(folder) if entry.endswith("/")]
            if folder and name in below:
                keys.append(folder)
            else:
                pending += [f"{folder}/{entry}".lstrip("/") for entry in below if enters(entry)]
        return sorted(keys)

    def link(self, key: str, target: str | None) -> None:
        """Point a symbolic link for people to a folder beside it, or remove it. Do nothing in a bucket."""
        if self.folder is None:
            return
        link = self.folder / key
        if target is None:
            link.unlink(missing_ok=True)
            return
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(link)

    def local_copy(self, key: str) -> Path:
        """Return a path of a file that never changes: in a folder the file itself, of a bucket a kept copy."""
        if self.folder is not None:
            return self.folder / key
        root, path = self.local_state().parent, self.local_path(key)
        try:
            os.utime(path)  # it is in use
        except FileNotFoundError:
            _remove_unused(root)
            with self.objects.open_read(key) as source, state.writing(path) as file:
                shutil.copyfileobj(source, file, 1 << 20)
        return path

    def local_path(self, key: str) -> Path:
        """Return the path of a file on this machine: in a folder its own, of a bucket that of its copy."""
        return (self.folder or self.local_state().parent).joinpath(*check_key(key))

    def storage_options(self) -> dict[str, str] | None:
        """
        Return the options by which delta-rs opens its tables; None for a folder.

        They may hold keys that expire within an hour. Ask for them right before you open a table.
        """
        if self._bucket is None:
            return None
        options = s3_table_options if self._bucket["scheme"] == "s3" else gs_table_options
        return options(self._connection())

    def only_folder(self, what: str) -> Path:
        """
        Return the folder of the lake.

        :param what: The work that needs it.
        :raises SettingsError: the lake is in a bucket.
        """
        if self.folder is None:
            raise SettingsError(
                f"{what} needs a lake in a folder, and `{self}` is in a bucket",
                hint="copy the lake to a folder, do it there, and copy it back",
            )
        return self.folder

    def local_state(self) -> Path:
        """
        Return the directory of state that belongs to one machine, such as a process of Spark.

        It is in the lake, or for a bucket in the cache of the user.
        """
        if self.folder is not None:
            return self.folder / STATE
        name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache, "airflow-wall", "lakes", name, STATE)

    def leads_out(self, key: str) -> bool:
        """Return True if a link in the path of a folder leads out of the lake. A bucket has no links."""
        return self.folder is not None and not state.lies_below(self.folder / key, self.folder)

    def is_link(self, key: str) -> bool:
        """Return True if a file is a symbolic link. A bucket has none."""
        return self.folder is not None and (self.folder / key).is_symlink()

    def exists(self) -> bool:
        """Return True if the lake holds anything."""
        return self.folder.is_dir() if self.folder is not None else bool(self.objects.names(""))

    def path_of(self, uri: str) -> Path:
        """Return the path of a file, named by its key or by its own path; in a bucket it is only good to compare."""
        return (self.folder or _NOWHERE) / uri

    def has_file(self, uri: str) -> bool:
        """Return True if a file exists that is named by its key or by its own path."""
        path = self.path_of(uri)
        return path.exists() if self.folder is not None or uri.startswith("/") else self.objects.head(uri) is not None

    def key_of(self, path: Path) -> str | None:
        """Return the key of a file of this machine that is in the lake, or None."""
        if self.folder is None or not path.is_relative_to(self.folder):
            return None
        return path.relative_to(self.folder).as_posix()

    def _connection(self) -> ConnectionInfo | None:
        if not self.conn_id:
            return None
        if self._connections is None:
            raise ConnectionFault(
                f"the lake `{self.address}` needs the connection `{self.conn_id}`, which cannot be read here",
                hint="run this within Airflow or `airflow-wall`, or leave the connection out of the address",
            )
        return self._connections(self.conn_id)

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Lake({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lake) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __reduce__(self) -> tuple[type[Lake], tuple[str]]:
        return Lake, (self.address,)  # what is open, and secrets, stay in this process

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def _remove_unused(root: Path) -> None:
    """Remove the copies that nobody has used for a long time."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(FileNotFoundError):  # another process removes it
                if name.endswith(".parquet") and time.time() - path.stat().st_mtime > _UNUSED:
                    path.unlink()


_UNUSED = 7 * 24 * 3600
"""Seconds after which a copy of a file of a bucket is removed."""

_NOWHERE = Path("/:lake:")
"""Stands for the root of a bucket in paths that are only compared."""


def address_of(text: str, project: Path) -> str:
    """
    Return the address of a lake as a pipeline, a setting or the command line writes it.

    :param project: The directory that a relative path is under.
    """
    return text if "://" in text else os.path.normpath(project / PurePosixPath(text))


def normalized(address: str) -> str:
    """Return the address of a lake without `.`, `..` and `/` that change nothing."""
    scheme, sign, rest = address.rpartition("://")
    return f"{scheme}{sign}{posixpath.normpath(rest)}"


def lies_in(address: str, other: str) -> bool:
    """Return True if a lake is the other one, or a folder in it. The texts are compared, with their connections."""
    if "://" not in address and "://" not in other:
        return PurePosixPath(address).is_relative_to(normalized(other))
    return f"{normalized(address)}/".startswith(f"{normalized(other)}/")


def _parse(text: str) -> dict[str, str]:
    form = _FORM.fullmatch(text)
    if form is None or form["scheme"] not in SCHEMES or ".." in form["prefix"].split("/"):
        raise SettingsError(
            f"`storage` must be a folder, `s3://bucket/prefix` or `gs://bucket/prefix`, got `{text}`",
            hint="write, e.g., `lake`, `s3://company-lake/platform`, or with an Airflow connection "
            "`s3://warehouse@company-lake/platform`",
        )
    return {name: value or "" for name, value in form.groupdict().items()}
