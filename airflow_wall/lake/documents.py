"""
Documents of the lake that several processes change: each change is a compare-and-set, so that none is lost.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_wall import state
from airflow_wall.errors import Interrupted
from airflow_wall.lake.objects import Objects, check_key

if TYPE_CHECKING:
    from airflow_wall.lake.lease import Lease

Document = dict[str, Any]

ATTEMPTS = 20
"""Number of times that `change` tries before it gives up."""

_NONCE = "nonce"
"""Key that makes two documents with equal content differ, so that a stale tag never matches again."""

_TOKEN = "lease_token"  # noqa: S105
"""Key with the token of the lease under which a document was last written."""


class Documents:
    """
    JSON documents by key, e.g. `bronze/orders.json`.

    Every method raises WallError if a newer airflow-wall wrote the document, or if it is damaged.

    :param objects: The objects of the lake.
    :param folder: The key of the folder that all documents are in.
    """

    def __init__(self, objects: Objects, folder: str) -> None:
        self._objects = objects
        self._folder = folder

    def read(self, key: str) -> tuple[Document, str] | None:
        """Return a document and its tag, or None if it does not exist."""
        stored = self._stored(key)
        return None if stored is None else (_content(stored[0]), stored[1])

    def get(self, key: str) -> Document | None:
        """Return a document, or None if it does not exist."""
        read = self.read(key)
        return None if read is None else read[0]

    def create(self, key: str, document: Mapping[str, Any]) -> bool:
        """Write a document if there is none yet. Return True if this call wrote it."""
        return self._objects.put_if_absent(self._key(key), _with_nonce(document))

    def swap(self, key: str, document: Mapping[str, Any], tag: str) -> bool:
        """Replace the document that `read` returned with this tag. Return False if it has changed since."""
        return self._objects.swap(self._key(key), _with_nonce(document), tag)

    def write(self, key: str, document: Mapping[str, Any], lease: Lease) -> None:
        """
        Write a document as the holder of a lease. All its writers must hold this lease.

        :raises Interrupted: the lease is lost, or a later holder has written the document.
        """
        if lease.recorded is None:  # a lock of the kernel, so no other process writes
            self._objects.put(self._key(key), state.to_bytes(document))
            return
        for attempt in range(ATTEMPTS):
            _pause(attempt)
            lease.check()
            stored = self._stored(key)
            new = {**document, _TOKEN: lease.recorded}
            if stored is None:
                if self.create(key, new):
                    return
            elif stored[0].get(_TOKEN, 0) > lease.recorded:
                raise Interrupted(f"`{self.uri(key)}`: a later holder of `{lease.key}` has written it")
            elif self.swap(key, new, stored[1]):
                return
        raise _lost(self.uri(key))

    def delete(self, key: str) -> None:
        """Remove a document, if there is one."""
        self._objects.delete(self._key(key))

    def below(self, prefix: str = "") -> list[str]:
        """Return the sorted keys of the documents below a folder such as `bronze/orders`, or of all."""
        folder = f"{self._folder}/{prefix}".rstrip("/")
        start = len(self._folder) + 1
        return [item.key[start:] for item in self._objects.below(folder) if _is_document(item.key)]

    def uri(self, key: str) -> str:
        """Return the address of a document, for messages."""
        return self._objects.uri(self._key(key)).removeprefix("file://")

    def _stored(self, key: str) -> tuple[Document, str] | None:
        read = self._objects.get(self._key(key))
        return None if read is None else (state.from_bytes(read[0], self.uri(key)), read[1])

    def _key(self, key: str) -> str:
        check_key(key)
        return f"{self._folder}/{key}"


def change(documents: Documents, key: str, function: Callable[[Document | None], Mapping[str, Any]]) -> Document:
    """
    Change a document, or create it, and return its new content.

    :param function: Returns the new content from the old one, or from None if there is none. It runs again when another
        process was faster, so it must have no other effect.
    :raises Interrupted: other processes won every race.
    """
    for attempt in range(ATTEMPTS):
        _pause(attempt)
        old, tag = documents.read(key) or (None, "")
        new = dict(function(None if old is None else dict(old)))
        if new == old:
            return new
        if documents.create(key, new) if old is None else documents.swap(key, new, tag):
            return new
    raise _lost(documents.uri(key))


def as_stored(document: Mapping[str, Any]) -> bytes:
    """Return the content of a document that is written once, for `Objects.create_folder`."""
    return state.to_bytes(document)


def _pause(attempt: int) -> None:
    if attempt:
        time.sleep(random.uniform(0, min(1.0, 0.01 * 2**attempt)))  # noqa: S311


def _lost(uri: str) -> Interrupted:
    return Interrupted(f"`{uri}`: other processes changed it first {ATTEMPTS} times", hint="run the task again")


def _is_document(key: str) -> bool:
    return key.endswith(".json") and not key.rpartition("/")[2].startswith(".")


def _with_nonce(document: Mapping[str, Any]) -> bytes:
    return state.to_bytes({**document, _NONCE: uuid.uuid4().hex})


def _content(stored: Document) -> Document:
    return {key: value for key, value in stored.items() if key not in (_NONCE, _TOKEN, "format")}
