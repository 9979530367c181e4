"""
Which of the clusters of one name a run works on: a document in the lake.

A cloud without unique names may have several: one whose creation was accepted and whose answer was lost, and that of
the next try. The first that is written here is the one; all others of the name are ended by whoever sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_wall import state


class Pin:
    """
    The document.

    :param path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str | None:
        """Id of the cluster that the run works on, as far as that is decided."""
        found = state.read(self.path)
        return found["id"] if found else None

    @property
    def asked(self) -> datetime | None:
        """When a cluster was asked for whose id has not been heard yet; None where none was, or it has."""
        found = state.read(self.path)
        return datetime.fromisoformat(found["asked"]) if found and found["id"] is None else None

    def ask(self, now: datetime) -> None:
        """Note that a cluster is about to be asked for."""
        state.write(self.path, {"id": None, "asked": now.isoformat()})

    def decide(self, candidate: str, lives: Callable[[str], bool]) -> str:
        """
        Have this cluster be the one, unless another is and lives. Return which it is.

        :param lives: Asks the cloud. It is not asked under the lock, which a machine that is frozen would keep.
        """
        while True:
            found = state.read(self.path)
            decided = found["id"] if found else None
            if decided is not None and decided != candidate and lives(decided):
                return str(decided)
            if replaced(self.path, found, {"id": candidate}):
                return candidate

    def remove(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)


def replaced(path: Path, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    """Write a document if it still is the old one; None: if there is none. Return whether it was written."""
    with state.locked(path):
        if state.read(path) != old:
            return False
        state.write(path, new)
        return True
