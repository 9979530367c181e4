"""The rows that checks look at, as SQL views in an engine that reaches nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_wall.checks.durations import moment

if TYPE_CHECKING:  # checks are also read where no data are looked at, and where none of these may be installed
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class Unanswerable(Exception):
    """
    A check cannot be answered by these data; it counts as not passed.

    :param observed: What is in the way.
    :param detail: What helps to mend it.
    """

    def __init__(self, observed: str, detail: str = "") -> None:
        super().__init__(observed, detail)
        self.observed = observed
        self.detail = detail


class Data:
    """
    One slice as the view `data`, and the slices before it as the view `earlier` (no rows where there are none).

    :param now: The slice's time, ISO 8601; ages are counted back from it.
    """

    def __init__(self, rows: pa.Table, earlier: pa.Table | None, now: str) -> None:
        from airflow_wall import duck

        self.rows = rows
        self.earlier = rows.slice(0, 0) if earlier is None else earlier
        self.now: datetime = moment(now)
        self._engine = duck.connect()
        self._engine.register("data", self.rows)
        self._engine.register("earlier", self.earlier)
        duck.seal(self._engine)  # only now: a check's query sees the two views, and no file, network or setting

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def check_query(self, sql: str) -> None:
        """
        Check that a text is one query.

        :raises duckdb.Error: it is no SQL.
        :raises Unanswerable: it is something else.
        """
        from airflow_wall import duck

        other = duck.not_one_query(self._engine, sql)
        if other is not None:
            raise Unanswerable("the query failed", f"it must be one query, got {other}")

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The only row of a query of aggregates."""
        row = self._engine.execute(sql, parameters).fetchone()
        assert row is not None, "an aggregate without GROUP BY gives one row"
        return row

    def first(self, sql: str, limit: int, parameters: Sequence[Any] = ()) -> list[dict[str, str | None]]:
        """The first rows of a query, at most `limit`, as column -> value in words."""
        # As text: DuckDB's Python values of some types need packages that may not be there (pytz for zoned times).
        found = self._engine.execute(f"SELECT COLUMNS(*)::VARCHAR FROM (\n{sql}\n)", parameters)  # noqa: S608
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchmany(limit)]

    def column(self, name: str) -> str:
        """
        The column as SQL writes it.

        :raises Unanswerable: there is no such column.
        """
        if name not in self.rows.schema.names:
            near = difflib.get_close_matches(name, self.rows.schema.names, n=1)
            known = ", ".join(f"`{known}`" for known in self.rows.schema.names)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise Unanswerable(f"no column `{name}`", f"{hint}the columns are {known}")
        return '"' + name.replace('"', '""') + '"'

    def type_of(self, name: str) -> str:
        """
        The kind of a column: `integer`, `float`, `text`, `boolean`, `timestamp`, `date`, else Arrow's name of its type.

        :raises Unanswerable: there is no such column.
        """
        self.column(name)
        return kind_of(self.rows.schema.field(name).type)

    def numeric(self, name: str) -> str:
        """
        A column of numbers as SQL writes it.

        :raises Unanswerable: there is no such column, or it holds no numbers.
        """
        quoted = self.column(name)
        if (kind := self.type_of(name)) not in ("integer", "float"):
            raise Unanswerable(f"`{name}` is {kind}, not a number")
        return quoted

    def numbers(self, name: str, *, earlier: bool = False) -> NDArray[np.float64]:
        """The finite values of a column of numbers, shape (values,). Empty where `earlier` has no such column."""
        import numpy as np
        import pyarrow as pa

        self.numeric(name)
        rows = self.earlier if earlier else self.rows
        if name not in rows.schema.names:
            return np.empty(0)
        values = np.asarray(rows.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)
        return values[np.isfinite(values)]


def kind_of(type_: pa.DataType) -> str:
    """What the check language calls a type."""
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
    """Rows as `column=value, column=value; ...`."""
    return "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in rows)
