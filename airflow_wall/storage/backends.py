"""Open the tables of a lake. Delta is the only kind so far; to add another, add a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import TableStore


def open_tables(
    storage: Lake | Path | str, fence: Callable[[], None] = lambda: None, created_by: Mapping[str, str] | None = None
) -> TableStore:
    """
    Return the tables of a lake, which need not exist yet.

    :param storage: The lake, its path or its address.
    :param fence: Called right before each commit. It raises if the caller may no longer write.
    :param created_by: Note about the caller in the first commit of each table that it creates.
    """
    from airflow_wall.storage.delta import DeltaStore  # the SDK is imported only to open tables

    return DeltaStore(Lake.of(storage), fence, created_by)
