"""`CheckIntegrityOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckIntegrityOperator(StepOperator):
    """
    Check the rows of a table: this run's, or all current ones. A failed check of severity `error` fails the task.

    The report is always stored in the lake.

    :param table: The table to check. (templated)
    :param checks: The checks: the text of a YAML file, or a list. (templated)
    :param checks_file: The file that the checks were read from, for messages. (templated)
    """

    template_fields: Sequence[str] = ("table", "checks", "checks_file")
    checks_table = True

    def __init__(
        self,
        *,
        table: str,
        checks: str | Sequence[Any],
        checks_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.checks = checks
        self.checks_file = checks_file

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of passed, warned and failed checks, the warnings and the path of the report."""
        return self.do(context, "check_integrity", table=self.table, checks=self.checks, checks_file=self.checks_file)
