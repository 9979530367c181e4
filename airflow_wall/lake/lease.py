"""
Leases: the right to do work that takes longer than one request, held by one process at a time.

In a folder a lease is a lock of the kernel, which ends with its process. In a bucket it is a document that its holder
renews. A waiter measures on its own clock how long the document has not changed, so the clocks need not agree.

Each acquisition has a greater token than the one before. A holder that was frozen may not know that it has lost the
lease, so its last write must be `Documents.write`, which refuses an older token.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_wall import state
from airflow_wall.errors import Interrupted, WallError
from airflow_wall.lake.documents import Documents

log = logging.getLogger(__name__)

TTL = 30.0
"""Seconds after which a lease that its holder does not renew may be taken by another process."""

_BEATS = 3
"""Number of renewals in the life of a lease: on Google Cloud Storage an object may be written once a second."""

_POLL = 0.05


class Lease:
    """
    A lease that this process holds.

    :param key: Its key.
    :param token: Greater than the token of each earlier holder.
    """

    recorded: int | None = None
    """The token that documents must carry; None if a lease of this kind cannot be lost while its process lives."""

    def __init__(self, key: str, token: int) -> None:
        self.key = key
        self.token = token

    def check(self) -> None:
        """Raise Interrupted if the lease is lost."""


class Leases(Protocol):
    """The leases of a lake, by key."""

    def hold(self, key: str, *, patience: float | None = None) -> contextlib.AbstractContextManager[Lease]:
        """
        Hold a lease while in the context.

        :param patience: Seconds to wait while another process holds it; None waits as long as that takes.
        :raises Interrupted: another process still holds it.
        """
        ...


class LocalLeases:
    """
    Leases as locks of files in a folder.

    :param folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def hold(self, key: str, *, patience: float | None = None) -> Iterator[Lease]:
        """See `Leases.hold`."""
        path, deadline = self._folder / key, time.monotonic() + (patience or 0)
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    descriptor = stack.enter_context(state.locked(path, wait=patience is None))
                    break
                except Interrupted:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_POLL)
            token = int(os.pread(descriptor, 20, 0) or b"0") + 1
            os.pwrite(descriptor, str(token).encode(), 0)  # the digits never become fewer
            yield Lease(key, token)


@dataclass
class DocumentLeases:
    """
    Leases as documents, for stores without locks.

    :param ttl: Seconds after which a lease that is not renewed may be taken.
    """

    documents: Documents
    ttl: float = TTL

    @contextlib.contextmanager
    def hold(self, key: str, *, patience: float | None = None) -> Iterator[Lease]:
        """See `Leases.hold`. A thread renews the lease."""
        lease = self.acquire(key, patience=patience)
        ended = threading.Event()
        thread = threading.Thread(target=_renew, args=(lease, ended, self.ttl / _BEATS), daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            ended.set()
            thread.join()
            lease.release()

    def acquire(self, key: str, *, patience: float | None = None) -> DocumentLease:
        """
        Return a lease that nobody renews. `hold` is the safe way.

        :raises Interrupted: another process still holds it.
        """
        name, seen, seen_at = f"{key}.json", "", 0.0
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            began = time.monotonic()
            old, tag = self.documents.read(name) or ({"holder": None, "token": 0}, "")
            if tag != seen:
                seen, seen_at = tag, time.monotonic()
            ttl = float(old.get("ttl", self.ttl))
            if old["holder"] is None or time.monotonic() - seen_at > ttl:
                new = {"holder": uuid.uuid4().hex, "token": int(old["token"]) + 1, "ttl": self.ttl}
                if self.documents.swap(name, new, tag) if tag else self.documents.create(name, new):
                    return DocumentLease(key, self.documents, new, began)
            elif deadline is not None and time.monotonic() > deadline:
                raise Interrupted(f"`{self.documents.uri(name)}` is held by another process")
            time.sleep(random.uniform(0.2, 1.0) * min(1.0, ttl / 5))  # noqa: S311


class DocumentLease(Lease):
    """A lease whose document this process has written."""

    def __init__(self, key: str, documents: Documents, document: dict[str, Any], began: float) -> None:
        super().__init__(key, document["token"])
        self.recorded = self.token
        self._documents = documents
        self._document = document
        self._renewed_at = began
        self._is_lost = False

    def check(self) -> None:
        """Raise Interrupted if the lease is lost, or may be by now."""
        if self._is_lost or time.monotonic() - self._renewed_at > self._document["ttl"]:
            raise Interrupted(
                f"`{self._documents.uri(self.key)}`: another process may have taken over, because this one stood still",
                hint="run the task again",
            )

    def renew(self) -> bool:
        """Show that the holder lives. Return False if the lease is lost."""
        began = time.monotonic()
        if self._replace(self._document):
            self._renewed_at = began
            return True
        self._is_lost = True
        return False

    def release(self) -> None:
        """Let others take the lease at once. Do nothing if it is lost."""
        with contextlib.suppress(WallError):  # then it ends by itself
            self._replace({**self._document, "holder": None})

    def _replace(self, new: dict[str, Any]) -> bool:
        read = self._documents.read(f"{self.key}.json")
        if read is None or read[0].get("holder") != self._document["holder"]:
            return False
        return self._documents.swap(f"{self.key}.json", new, read[1])


def _renew(lease: DocumentLease, ended: threading.Event, interval: float) -> None:
    while not ended.wait(interval):
        try:
            if not lease.renew():
                return
        except WallError as error:
            log.warning("%s", error)  # the next renewal may succeed
