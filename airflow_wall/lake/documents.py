"""
Documents of the lake that several processes change: each change is a compare-and-set, so that none is lost.

The interface needs nothing that an object store lacks: a read returns a tag, and a write names the tag it replaces.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from airflow_wall import state
from airflow_wall.errors import Interrupted

Document = dict[str, Any]

ATTEMPTS = 20
"""Number of times that `change` tries before it gives up."""

_NONCE = "nonce"
"""Key that makes two documents with equal content differ, so that a stale tag never matches again."""


class Documents(Protocol):
    """
    JSON documents by key, e.g. `contracts/bronze/orders.json`.

    Every method raises WallError if a newer airflow-wall wrote the document, or if it is damaged.
    """

    def read(self, key: str) -> tuple[Document, str] | None:
        """Return a document and its tag, or None if it does not exist."""
        ...

    def create(self, key: str, document: Mapping[str, Any]) -> bool:
        """Write a document if there is none yet. Return True if this call wrote it."""
        ...

    def swap(self, key: str, document: Mapping[str, Any], tag: str) -> bool:
        """Replace the document that `read` returned with this tag. Return False if it has changed since."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """Return the sorted keys that begin with a prefix."""
        ...


class LocalDocuments:
    """
    Documents in a folder, flushed to disk before they get their name.

    :param folder: The folder. The first document creates it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> tuple[Document, str] | None:
        """Return a document and its tag, or None."""
        document = state.read(self._path(key))
        return None if document is None else (_without_nonce(document), _tag(document))

    def create(self, key: str, document: Mapping[str, Any]) -> bool:
        """Write a document if there is none yet."""
        return state.create(self._path(key), _with_nonce(document))

    def swap(self, key: str, document: Mapping[str, Any], tag: str) -> bool:
        """Replace the document with this tag."""
        path = self._path(key)
        with state.locked(path):
            current = state.read(path)
            if current is None or _tag(current) != tag:
                return False
            state.write(path, _with_nonce(document))
        return True

    def keys(self, prefix: str) -> list[str]:
        """Return the sorted keys that begin with a prefix."""
        files = self._folder.rglob("*.json") if self._folder.is_dir() else []
        keys = (path.relative_to(self._folder).as_posix() for path in files if not path.name.startswith("."))
        return sorted(key for key in keys if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(f"`{key}` must be a relative path without `..`")
        return self._folder.joinpath(*parts)


def change(documents: Documents, key: str, function: Callable[[Document | None], Mapping[str, Any]]) -> Document:
    """
    Change a document, or create it, and return its new content.

    :param function: Returns the new content from the old one, or from None if there is none. It runs again when another
        process was faster, so it must have no other effect.
    :raises Interrupted: other processes won every race.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(1.0, 0.01 * 2**attempt)))  # noqa: S311
        old, tag = documents.read(key) or (None, "")
        new = dict(function(None if old is None else dict(old)))
        if new == old:
            return new
        if documents.create(key, new) if old is None else documents.swap(key, new, tag):
            return new
    raise Interrupted(f"`{key}`: other processes changed it first {ATTEMPTS} times", hint="run the task again")


def _with_nonce(document: Mapping[str, Any]) -> Document:
    return {**document, _NONCE: uuid.uuid4().hex}


def _without_nonce(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if key not in (_NONCE, "format")}


def _tag(document: Mapping[str, Any]) -> str:
    return str(document.get(_NONCE) or json.dumps(document, sort_keys=True))
