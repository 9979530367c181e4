"""The check `reference`: each value exists in another table of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, Scope, number
from airflow_wall.checks.data import Data, Unanswerable, kind_of, quoted, shown_rows, unused_name
from airflow_wall.text.kinds import Plain, Table


class Reference(Check):
    """
    Each value of the columns exists in another table. Rows with a null in the columns are ignored.

    Several columns form one key: their values must be together in one row of the other table. If the pipeline checks
    the other table, too, only rows that passed are read, as in a release, and the task waits for those checks.
    """

    kind: ClassVar[str] = "reference"
    scopes: ClassVar[tuple[Scope, ...]] = ("table", "slice")

    columns: ColumnNames = Field(description="One column, or several that form the key together.")
    table: Table[str] = Field(min_length=1, description="The other table.")
    to: ColumnNames | None = Field(
        None, description="The columns of the other table, in the same order; by default the same names."
    )
    external: Plain[bool] = Field(
        False,
        description="If true, the rows of the other table come from elsewhere or from an earlier run, and the task "
        "waits for no task that writes or checks it.",
    )

    def subject(self) -> str:
        """See `Check.subject`."""
        return f"{', '.join(self.columns)} to {self.table}"

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if self.to is not None and len(self.to) != len(self.columns):
            yield f"`to` must have as many columns as `columns`: {len(self.columns)}, got {len(self.to)}"

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return self.columns

    def tables(self) -> Mapping[str, bool]:
        """See `Check.tables`."""
        return {self.table: self.external}

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        own = [data.column(name) for name in self.columns]
        names = self.columns if self.to is None else self.to
        other = data.reader.other(self.table, list(dict.fromkeys(names)))
        for name, to in zip(self.columns, names, strict=True):
            kinds = data.type_of(name), kind_of(other.schema.field(to).type)
            if kinds[0] != kinds[1] and not set(kinds) <= {"integer", "float"}:
                raise Unanswerable(f"`{name}` is {kinds[0]}, and `{to}` of `{self.table}` is {kinds[1]}")
        data.load("other", other)  # replaces that of another check
        key = ", ".join(own)
        present = " AND ".join(f"{column} IS NOT NULL" for column in own)
        equal = " AND ".join(f"data.{column} = other.{quoted(to)}" for column, to in zip(own, names, strict=True))
        rows_name = quoted(unused_name("rows", self.columns))
        found = f"SELECT {key}, count(*) AS {rows_name} FROM data WHERE {present} GROUP BY {key}"  # noqa: S608
        lost = f"SELECT * FROM ({found}) AS data ANTI JOIN other ON {equal}"  # noqa: S608
        expected = f"each is in `{self.table}`"
        keys, rows = data.one(f"SELECT count(*), coalesce(sum({rows_name}), 0) FROM ({lost})")  # noqa: S608
        if not keys:
            return CheckOutcome(True, "all there", expected)
        return CheckOutcome(
            False,
            f"{number(keys)} keys in {number(int(rows))} rows are missing there",
            expected,
            shown_rows(data.first(f"{lost} ORDER BY ALL", 3)),
        )
