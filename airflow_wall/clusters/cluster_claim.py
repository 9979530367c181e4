"""
The document in the lake that decides which of several clusters with one name a run uses.

A cloud without unique names may have several: one whose creation was accepted but whose answer was lost, and one of
the next try. The first cluster written here is used. Any process that sees another cluster with the name ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_wall import state


class Pin:
    """
    The document that names the cluster of a run.

    :param path: Path of the document.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str | None:
        """Id of the cluster that the run uses; None if that is not decided yet."""
        document = state.read(self.path)
        return document["id"] if document else None

    @property
    def asked(self) -> datetime | None:
        """Time of the last request whose cluster id has not arrived yet; None if no request is open."""
        document = state.read(self.path)
        return datetime.fromisoformat(document["asked"]) if document and document["id"] is None else None

    def ask(self, now: datetime) -> None:
        """Record that a cluster is about to be requested."""
        state.write(self.path, {"id": None, "asked": now.isoformat()})

    def decide(self, candidate: str, lives: Callable[[str], bool]) -> str:
        """
        Choose this cluster, unless another one is already chosen and lives. Return the id of the chosen one.

        :param lives: Asks the cloud whether a cluster lives. It is called without the lock, because a frozen machine
        would keep the lock.
        """
        while True:
            document = state.read(self.path)
            decided = document["id"] if document else None
            if decided is not None and decided != candidate and lives(decided):
                return str(decided)
            if replace_document(self.path, document, {"id": candidate}):
                return candidate

    def remove(self) -> None:
        """Remove the document."""
        self.path.unlink(missing_ok=True)


def replace_document(path: Path, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    """Replace a document if its content is still `old` (None: no document). Return True if it was written."""
    with state.locked(path):
        if state.read(path) != old:
            return False
        state.write(path, new)
        return True
