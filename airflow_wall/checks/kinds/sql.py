"""The check `sql`: a query that selects faulty rows returns none."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, number
from airflow_wall.checks.data import Data, Unanswerable, shown_rows
from airflow_wall.text.kinds import Plain
from airflow_wall.text.kinds import Sql as SqlText


class Sql(Check):
    """
    The query returns no row. It reads the view `data` (the checked rows) and `earlier` (the slices before this one).

    With `over: table`, `data` also has the column `_wall_slice`, the slice of the row.
    """

    kind: ClassVar[str] = "sql"
    needs_earlier: ClassVar[bool] = True

    query: SqlText[str] = Field(
        min_length=1, description="One SELECT over the view `data`; the rows it returns are faults."
    )
    message: Plain[str] | None = Field(
        None, min_length=1, description="Text of the report when the check fails: it says what the rows mean."
    )

    def subject(self) -> str:
        """See `Check.subject`."""
        text = " ".join(self.query.split())
        return text if len(text) <= 60 else f"{text[:59]}…"

    def reads_earlier(self) -> bool:
        """See `Check.reads_earlier`."""
        return re.search(r"\bearlier\b", self.query, re.IGNORECASE) is not None

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
        observed = f"{number(count)} rows" + (f": {self.message}" if self.message else "")
        return CheckOutcome(False, observed, "no rows", shown_rows(first))
