"""Which store a lake has. Delta tables are the only kind so far; another kind is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from airflow_wall.storage.base import TableStore


def open_tables(storage: Path, fence: Callable[[], None] = lambda: None) -> TableStore:
    """
    Return the tables under `storage`, an absolute folder that need not exist yet.

    :param fence: Is called right before each commit, and raises where the caller may write no more.
    """
    from airflow_wall.storage.delta import DeltaStore  # the SDK is loaded by whoever opens tables

    return DeltaStore(storage, fence)
