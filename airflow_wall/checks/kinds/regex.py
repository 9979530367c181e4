"""The check `regex`: texts match a regular expression."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, number
from airflow_wall.checks.data import Data, Unanswerable, text_literal
from airflow_wall.checks.patterns import PatternCompiler
from airflow_wall.text.kinds import FieldKind, Plain


def _compiled(pattern: str, info: ValidationInfo) -> str:
    compiler = (info.context or {}).get("patterns")
    reason = compiler.fault(pattern) if isinstance(compiler, PatternCompiler) else None
    if reason is not None:
        hint = f"{reason}; RE2 has no look-around and no back-references"
        raise PydanticCustomError("pattern", "must be a regular expression of RE2", {"hint": hint})
    return pattern


class Regex(ColumnCheck):
    """
    All texts of a column match a regular expression as a whole. Nulls are ignored (see `not_null`).

    The syntax is that of [RE2](https://github.com/google/re2/wiki/Syntax), whose time grows only with the length of a
    text. It has no look-around and no back-references.
    """

    kind: ClassVar[str] = "regex"

    column: Plain[str] = Field(description="A column of text.")
    pattern: Annotated[str, AfterValidator(_compiled), FieldKind.PLAIN] = Field(
        min_length=1, max_length=1000, description="The expression. Write `.*x.*` to find `x` anywhere."
    )

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        import duckdb

        column = data.column(self.column)
        if (kind := data.type_of(self.column)) != "text":
            raise Unanswerable(f"`{self.column}` is {kind}, not text")
        other = (
            f"SELECT {column} AS value, count(*) AS rows FROM data "  # noqa: S608
            f"WHERE NOT regexp_full_match({column}, {text_literal(self.pattern)}) GROUP BY 1"
        )
        expected = f"each matches `{self.pattern}`"
        try:
            count, rows = data.one(f"SELECT count(*), coalesce(sum(rows), 0) FROM ({other})")  # noqa: S608
        except duckdb.InvalidInputException as error:
            raise Unanswerable("`pattern` is not a regular expression of RE2", str(error)) from error
        if not count:
            return CheckOutcome(True, "all match", expected)
        first = ", ".join(f"`{row['value']}`" for row in data.first(f"{other} ORDER BY rows DESC, value", 3))
        shown = first + (", ..." if count > 3 else "")
        return CheckOutcome(False, f"{shown} in {number(int(rows))} rows", expected)
