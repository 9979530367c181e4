"""Open the tables of a lake. Delta is the only kind so far; to add another, add a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from airflow_wall.storage.base import TableStore


def open_tables(
    storage: Path, fence: Callable[[], None] = lambda: None, created_by: Mapping[str, str] | None = None
) -> TableStore:
    """
    Return the tables below the directory `storage`, which need not exist yet.

    :param fence: Called right before each commit. It raises if the caller may no longer write.
    :param created_by: Note about the caller in the first commit of each table that it creates.
    """
    from airflow_wall.storage.delta import DeltaStore  # the SDK is imported only to open tables

    return DeltaStore(storage, fence, created_by)
