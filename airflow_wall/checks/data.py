"""
The rows under check, as SQL views in an engine that can access nothing else.

A view reads the files of a table. Checks are queries, so that no more rows than needed are in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_wall.checks.durations import parse_time
from airflow_wall.diagnostics.suggestions import did_you_mean, listed

if TYPE_CHECKING:  # checks are also validated on machines without data, where these may not be installed
    import pyarrow as pa


SLICE = "_wall_slice"
"""The hidden column of a table with the slice of each row. The view `data` of the whole table has it."""


class Unanswerable(Exception):
    """
    Raised when a check cannot be run on these data. The check counts as failed.

    :param observed: The obstacle.
    :param detail: Help to fix it.
    """

    def __init__(self, observed: str, detail: str = "") -> None:
        super().__init__(observed, detail)
        self.observed = observed
        self.detail = detail


class TrainedFeature(Protocol):
    """The distribution of a feature in the rows that a model was trained on."""

    @property
    def counts(self) -> Sequence[int]:
        """Rows per bin, or per text and last those of all other texts."""
        ...

    @property
    def edges(self) -> Sequence[float]:
        """Edges between the bins of numbers."""
        ...

    @property
    def texts(self) -> Sequence[str] | None:
        """The texts that are counted; None for numbers."""
        ...


class Rows(Protocol):
    """Rows that are read when a query asks for them, such as `airflow_wall.storage.scan.Scan`."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        ...

    @property
    def paths(self) -> Sequence[Path]:
        """The files that a query of the relation reads."""
        ...

    def relation(self, database: Any) -> Any:
        """Return the rows as a relation of a connection of DuckDB."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches."""
        ...

    def count(self) -> int:
        """Return the number of rows."""
        ...


class Reader(Protocol):
    """Reads the rows that checks ask for."""

    def schema(self) -> pa.Schema:
        """Return the columns of the checked table, without the hidden ones."""
        ...

    def rows(self, columns: Sequence[str] | None) -> Rows:
        """Return rows of the slice; None means all columns."""
        ...

    def earlier(self, columns: Sequence[str] | None) -> Rows | None:
        """Return rows of the earlier slices, or None if there are none."""
        ...

    def earlier_counts(self, last: int) -> Mapping[str, int]:
        """Return the number of rows of the last earlier slices, by slice in the order of time."""
        ...

    def current(self, columns: Sequence[str] | None) -> Rows:
        """Return the current rows of all slices, with the column `_wall_slice`."""
        ...

    def other(self, table: str, columns: Sequence[str]) -> Rows:
        """
        Return the current rows of another table.

        :raises Unanswerable: the table or a column does not exist.
        """
        ...

    def training(self, model: str) -> Mapping[str, TrainedFeature] | None:
        """Return the distributions of the features that the champion was trained on; None without a champion."""
        ...


_SAMPLE = 5
"""Most rows of a sample of rows that failed."""


class Data:
    """
    The checked rows as the view `data`, and the slices before this one as the view `earlier`, which may be empty.

    :param now: The slice's time, ISO 8601; ages are counted back from it.
    :param schema: All columns of the table, of which `rows` may have some.
    :param reader: Reads rows of other slices and tables.
    """

    def __init__(
        self,
        rows: Rows,
        earlier: Rows | None,
        now: str,
        *,
        schema: pa.Schema | None = None,
        reader: Reader | None = None,
    ) -> None:
        from airflow_wall.engines.duckdb import connection as duck

        self._rows = rows
        self._earlier = earlier
        self.now: datetime = parse_time(now)
        self.schema = rows.schema if schema is None else schema
        self._reader = reader
        self._engine = duck.connect()
        rows.relation(self._engine).create_view("data")
        if earlier is None:
            self._engine.execute("CREATE VIEW earlier AS FROM data WHERE false")
        else:
            earlier.relation(self._engine).create_view("earlier")
        # From here on a query can read the two views, and no other file, network or setting.
        duck.seal(self._engine, [*rows.paths, *(() if earlier is None else earlier.paths)])

    @functools.cached_property
    def row_count(self) -> int:
        """Number of checked rows."""
        return self._rows.count()

    @functools.cached_property
    def earlier_count(self) -> int:
        """Number of rows of earlier slices; 0 if no check reads them."""
        return 0 if self._earlier is None else self._earlier.count()

    @property
    def rows(self) -> pa.Table:
        """All checked rows in memory, for checks in Python of few rows. A query needs less memory."""
        import pyarrow as pa

        return pa.Table.from_batches(self._rows.batches(), self._rows.schema)

    @property
    def reader(self) -> Reader:
        """The reader of other slices and tables."""
        if self._reader is None:
            raise Unanswerable("other slices and tables cannot be read here")
        return self._reader

    def close(self) -> None:
        """Close the engine and free its memory."""
        self._engine.close()

    def load(self, table: str, rows: Rows) -> None:
        """Add a table with the different ones of some rows, or replace it. What exceeds the memory goes to disk."""
        self._engine.register("batch", rows.schema.empty_table())
        self._engine.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(table)} AS FROM batch")
        for batch in rows.batches():
            self._engine.register("batch", batch)
            self._engine.execute(f"INSERT INTO {quoted(table)} SELECT DISTINCT * FROM batch")  # noqa: S608
        self._engine.unregister("batch")

    def check_query(self, sql: str) -> None:
        """
        Check that a text is exactly one query.

        :raises duckdb.Error: the text is not SQL.
        :raises Unanswerable: it is another statement, or several.
        """
        from airflow_wall.engines.duckdb import connection as duck

        others = duck.describe_other_statements(self._engine, sql)
        if others is not None:
            raise Unanswerable("the query failed", f"it must be one query, got {others}")

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Return the only row of a query of aggregates."""
        (row,) = self._engine.execute(sql, parameters).fetchall()
        return row

    def count_and_first(self, sql: str, limit: int) -> tuple[int, list[dict[str, str | None]]]:
        """Return the number of rows of a query, and its first rows in the form of `first`. The query runs once."""
        counted = (
            f"WITH found AS MATERIALIZED (\n{sql}\n) "  # noqa: S608
            f"SELECT (SELECT count(*) FROM found), COLUMNS(found.*)::VARCHAR FROM found LIMIT {limit:d}"
        )
        result = self._engine.execute(counted)
        names = [column[0] for column in result.description[1:]]
        rows = result.fetchall()
        return (rows[0][0] if rows else 0), [dict(zip(names, row[1:], strict=True)) for row in rows]

    def first(self, sql: str, limit: int, parameters: Sequence[Any] = ()) -> list[dict[str, str | None]]:
        """Return at most `limit` rows of a query, each as column -> value as text."""
        # DuckDB's Python values of some types need packages that may not be installed (pytz for zoned times).
        # A result must be read to its end before a view can be added.
        cut = f"SELECT COLUMNS(*)::VARCHAR FROM (\n{sql}\n) LIMIT {limit:d}"  # noqa: S608
        result = self._engine.execute(cut, parameters)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def sample(self, condition: str, parameters: Sequence[Any] = ()) -> list[dict[str, str | None]]:
        """Return some of the rows that fulfil a condition, in the form of `first`."""
        return self.first(f"SELECT * FROM data WHERE {condition}", _SAMPLE, parameters)  # noqa: S608

    def column(self, name: str) -> str:
        """
        Return the name of a column as a quoted SQL identifier.

        :raises Unanswerable: the column does not exist.
        """
        if name not in self.schema.names:
            columns = self.schema.names
            hints = [did_you_mean(name, columns), f"the columns are {listed(columns)}"]
            raise Unanswerable(f"no column `{name}`", " ".join(filter(None, hints)))
        return quoted(name)

    def type_of(self, name: str) -> str:
        """
        Return the kind of a column: `integer`, `float`, `text`, `boolean`, `timestamp`, `date`, else Arrow's type name.

        :raises Unanswerable: the column does not exist.
        """
        self.column(name)
        return kind_of(self.schema.field(name).type)

    def numeric(self, name: str) -> str:
        """
        Return the name of a column of numbers as a quoted SQL identifier.

        :raises Unanswerable: the column does not exist, or holds no numbers.
        """
        quoted = self.column(name)
        if (kind := self.type_of(name)) not in ("integer", "float"):
            raise Unanswerable(f"`{name}` is {kind}, not a number")
        return quoted

    def finite(self, name: str, *, earlier: bool = False) -> str:
        """
        Return a query of the finite values `x` of a column of numbers. `earlier` may lack the column.

        :raises Unanswerable: the column does not exist, or holds no numbers.
        """
        value = f"{self.numeric(name)}::DOUBLE"
        view = self.view_with(name) if earlier else "data"
        if view is None:
            return "SELECT 0::DOUBLE AS x WHERE false"
        return f"SELECT {value} AS x FROM {view} WHERE isfinite({value})"  # noqa: S608  # quoted

    def view_with(self, name: str) -> str | None:
        """Return the view of earlier rows; None if there are none, or they lack the column."""
        return "earlier" if self._earlier is not None and name in self._earlier.schema.names else None

    def pairs(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query of few rows."""
        return list(self._engine.execute(sql, parameters).fetchall())


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    from airflow_wall.engines.duckdb import connection as duck

    return duck.identifier(name)


def unused_name(name: str, columns: Sequence[str]) -> str:
    """Return a name for a further column: the given one, with `_` in front of it if a column has it."""
    while name in columns:
        name = f"_{name}"
    return name


def text_literal(text: str) -> str:
    """Return a text as a quoted SQL string."""
    from airflow_wall.engines.duckdb import connection as duck

    return duck.literal(text)


def null_condition(data: Data, name: str) -> str:
    """
    Return the SQL condition of a row without a value in a column: null, or NaN.

    :raises Unanswerable: the column does not exist.
    """
    column = data.column(name)
    return f"{column} IS NULL" + (f" OR isnan({column}::DOUBLE)" if data.type_of(name) == "float" else "")


def value_as_text(column: str, kind: str) -> str:
    """Return the SQL of a column's values as texts that equal those of `plain_text`: 1 and 1.0 alike."""
    return f"printf('%.17g', {column}::DOUBLE)" if kind in ("integer", "float") else f"{column}::VARCHAR"


def plain_text(value: bool | float | str) -> str:
    """Return a value of the YAML as a text, so that one list serves numbers, texts and booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{float(value):.17g}"


def kind_of(type_: pa.DataType) -> str:
    """Return the name of a type in the language of checks."""
    name = str(type_)
    if name.startswith(("int", "uint")):
        return "integer"
    if name.startswith(("float", "double", "halffloat", "decimal")):
        return "float"
    if name.startswith("timestamp"):
        return "timestamp"
    if name.startswith("date"):
        return "date"
    return {"string": "text", "large_string": "text", "string_view": "text", "bool": "boolean"}.get(name, name)


def shown_rows(rows: Sequence[dict[str, str | None]]) -> str:
    """Return rows as `column=value, column=value; ...`."""
    return "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in rows)
