"""Base of the operators that stage rows into a release that another task opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.start_sender import StartSenderOperator
from airflow_wall.operators.table_order import checkers_of

if TYPE_CHECKING:
    from airflow.sdk import Context


def fence_of(context: Context, starter: str) -> int | None:
    """Return the fence of the release from the XCom of the task that opened it; None if there is none."""
    opened = context["ti"].xcom_pull(task_ids=starter)
    return opened.get("fence") if isinstance(opened, dict) else None


class StageOperator(StepOperator):
    """
    Stage rows of a table. Clients see them only when `StopSenderOperator` commits the release.

    It must not be mapped (`.expand()`), because the parts of a release must be known when it is committed.

    :param release: Id of the `StartSenderOperator` task that opened the release.
    :param table: The table whose rows are staged. (templated)
    :param to: The target of the rows, e.g. `sql://CONNECTION/TABLE`. (templated)
    :param where: SQL condition that selects the rows; by default all rows. (templated)
    :param key: Columns that identify a row. (templated)
    :param external: True if the rows come from elsewhere or from an earlier run.
    """

    template_fields: Sequence[str] = ("table", "to", "where", "key")
    publishes_table = True
    ui_color = "#d9e2f3"

    def __init__(
        self,
        *,
        release: str,
        table: str,
        to: str,
        where: str | None = None,
        key: Sequence[str] | None = None,
        external: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.table = table
        self.to = to
        self.where = where
        self.key = key
        self.external = external

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of staged rows and their destination."""
        return self.stage(context)

    def stage(self, context: Context, **more: Any) -> dict[str, Any]:
        """Stage the rows; `more` are further arguments of the job."""
        starter = self.partner(context, "release", StartSenderOperator)
        return self.do(
            context,
            "stage",
            release=self.value_of(starter, "release", context),
            part=self.task_id,
            fence=fence_of(context, self.release),
            table=self.table,
            to=self.to,
            where=self.where,
            key=self.key,
            **checkers_of(context["dag"], self.table),
            **more,
        )
