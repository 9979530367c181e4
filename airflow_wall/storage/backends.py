"""Which store a lake has. Delta tables are the only kind so far; another kind is a module and a line here."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.storage.base import TableStore


def open_tables(storage: Path) -> TableStore:
    """Return the tables under `storage`, an absolute folder that need not exist yet."""
    from airflow_wall.storage.delta import DeltaStore  # the SDK is loaded by whoever opens tables

    return DeltaStore(storage)
