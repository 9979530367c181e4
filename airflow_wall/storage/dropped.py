"""The record of slices whose rows a person dropped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from airflow_wall.lake.documents import Document, change
from airflow_wall.lake.lake import Lake


@dataclass(frozen=True)
class DroppedSlice:
    """
    A slice whose rows were dropped.

    :param at: ISO 8601 time in UTC.
    """

    slice: str
    rows: int
    reason: str
    at: str


class DroppedSlices:
    """
    The dropped slices of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._documents = lake.documents("dropped")

    def of(self, table: str) -> list[DroppedSlice]:
        """Return the dropped slices of a table, in the order of time."""
        read = self._documents.read(f"{table}.json")
        return [] if read is None else [DroppedSlice(**values) for values in read[0]["slices"]]

    def record(self, table: str, slice_id: str, *, rows: int, reason: str) -> None:
        """Record that the rows of a slice have been dropped."""
        dropped = DroppedSlice(slice_id, rows, reason, datetime.now(UTC).isoformat(timespec="seconds"))

        def recorded(old: Document | None) -> Document:
            before = [] if old is None else old["slices"]
            return {"slices": [*before, asdict(dropped)]}

        change(self._documents, f"{table}.json", recorded)
