"""Rows in memory, as checks read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from airflow_wall.checks.data import SLICE, TrainedFeature, Unanswerable


class InMemory:
    """Rows in memory, as `airflow_wall.checks.data.Rows`."""

    paths = ()

    def __init__(self, rows: pa.Table) -> None:
        self.schema = rows.schema
        self._rows = rows

    def relation(self, database: Any) -> Any:
        name = f"rows_{id(self)}"
        database.register(name, self._rows)
        return database.table(name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        return iter(self._rows.to_batches())

    def count(self) -> int:
        return self._rows.num_rows


@dataclass(frozen=True)
class Rows:
    """
    A table of one slice and earlier ones.

    :param this: Rows of the slice.
    :param before: Earlier slice -> its rows.
    :param others: Name of another table -> its rows.
    :param models: Model -> the distributions of its features in training.
    :param asked: Columns of the reads so far, for tests of what is read.
    """

    this: pa.Table
    before: Mapping[str, pa.Table] = field(default_factory=dict)
    others: Mapping[str, pa.Table] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, TrainedFeature]] = field(default_factory=dict)
    asked: list[Sequence[str] | None] = field(default_factory=list)

    def schema(self) -> pa.Schema:
        return self.this.schema

    def rows(self, columns: Sequence[str] | None) -> InMemory:
        self.asked.append(columns)
        return InMemory(self.this if columns is None else self.this.select(columns))

    def earlier(self, columns: Sequence[str] | None) -> InMemory | None:
        self.asked.append(columns)
        if not self.before:
            return None
        rows = pa.concat_tables(self.before.values())
        return InMemory(
            rows if columns is None else rows.select([name for name in columns if name in rows.schema.names])
        )

    def earlier_counts(self, last: int) -> dict[str, int]:
        return {name: self.before[name].num_rows for name in sorted(self.before)[-last:]}

    def current(self, columns: Sequence[str] | None) -> InMemory:
        self.asked.append(columns)
        names = self.this.schema.names if columns is None else columns
        parts = [
            rows.select([name for name in names if name in rows.schema.names]).append_column(
                SLICE, pa.array([name] * rows.num_rows, pa.string())
            )
            for name, rows in {**self.before, "this": self.this}.items()
        ]
        return InMemory(pa.concat_tables(parts, promote_options="default"))

    def other(self, table: str, columns: Sequence[str]) -> InMemory:
        if table not in self.others:
            raise Unanswerable(f"`{table}` cannot be read", "there is no such table")
        return InMemory(self.others[table].select(columns))

    def training(self, model: str) -> Mapping[str, TrainedFeature] | None:
        return self.models.get(model)
