"""The check `sql`: a query that selects faulty rows returns none."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, number
from airflow_wall.checks.data import Data, Unanswerable, shown_rows
from airflow_wall.text.kinds import Sql as SqlText


class Sql(Check):
    """The query returns no row. It reads the view `data` (this slice) and `earlier` (the slices before it)."""

    kind: ClassVar[str] = "sql"
    needs_earlier: ClassVar[bool] = True

    query: SqlText[str] = Field(
        min_length=1, description="One SELECT over the view `data`; the rows it returns are faults."
    )

    def subject(self) -> str:
        """See `Check.subject`."""
        text = " ".join(self.query.split())
        return text if len(text) <= 60 else f"{text[:59]}…"

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        import duckdb

        query = self.query.strip().rstrip(";")
        try:
            data.check_query(query)
            count, first = data.count_and_first(query, 3)
        except duckdb.Error as error:
            text = " ".join(str(error).split())
            raise Unanswerable("the query failed", text if len(text) <= 400 else f"{text[:399]}…") from error
        if not count:
            return CheckOutcome(True, "no rows", "no rows")
        return CheckOutcome(False, f"{number(count)} rows", "no rows", shown_rows(first))
