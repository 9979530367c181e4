"""`CheckIntegrityOperator`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from airflow_wall.checks.load import load_checks
from airflow_wall.job import TableRead
from airflow_wall.jobs.check_integrity import report_path
from airflow_wall.operators.assets import checked_table, rows_written
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.links import ReportLink
from airflow_wall.operators.table_order import checkers_of
from airflow_wall.settings import SECTION

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckIntegrityOperator(StepOperator):
    """
    Check the rows of a table: this run's, or all current ones. A failed check of severity `error` fails the task.

    The report is always stored in the lake.

    :param table: The table to check. (templated)
    :param checks: The checks: the text of a YAML file, or a list. (templated)
    :param checks_file: The file that the checks were read from, for messages. (templated)
    :param gate: False if the checks do not decide what is published. They then withhold no rows.
    :param external: True if the rows come from elsewhere or from an earlier run.
    """

    template_fields: Sequence[str] = ("table", "checks", "checks_file")
    checks_table = True
    operator_extra_links: Collection[BaseOperatorLink] = (ReportLink(),)
    links: Mapping[str, str] = {}

    def __init__(
        self,
        *,
        table: str,
        checks: str | Sequence[Any],
        checks_file: str | None = None,
        gate: bool = True,
        external: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.checks = checks
        self.checks_file = checks_file
        self.gate = gate
        self.external = external

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of passed, warned and failed checks, the warnings and the path of the report."""
        self._link_report(context)
        with self.error_context(context):
            others = {read.table: checkers_of(context["dag"], read.table) for read in self._other_tables()}
        result = self.do(
            context,
            "check_integrity",
            table=self.table,
            checks=self.checks,
            checks_file=self.checks_file,
            gate=self.gate,
            others=others or None,
        )
        return self.announced(context, result, **rows_written(context, self.table))

    def announces(self) -> Iterator[str]:
        """Yield the table, if this is the last check of it."""
        yield from checked_table(self, self.table)

    def _link_report(self, context: Context) -> None:
        """Link the page that the job will write, also if a check fails."""
        base = conf.get(SECTION, "reports_url", fallback="") or ""
        if base:
            place = report_path(self.run_of(context)).as_posix()
            self.links = {ReportLink.page: f"{base.rstrip('/')}/{quote(place)}"}
        else:
            self.operator_extra_links = ()  # else Airflow stores an empty XCom

    def tables_read(self) -> Iterator[TableRead]:
        """Yield the checked table, and the other tables that its checks read."""
        yield from super().tables_read()
        yield from self._other_tables()

    def _other_tables(self) -> Iterator[TableRead]:
        checks = load_checks(self.checks if isinstance(self.checks, str) else list(self.checks), path=self.checks_file)
        for check in checks:
            for table, external in check.tables().items():
                if table != self.table:
                    yield TableRead(f"checks.{check.kind}", table, external=external, checked=not external)
