"""`PersistOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PersistOperator(StageOperator):
    """
    Stage rows for a SQL table or for files.

    :param format: For files: `parquet` (by default) or `csv`. (templated)
    """

    template_fields: Sequence[str] = (*StageOperator.template_fields, "format")

    def __init__(self, *, format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.format = format

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of staged rows and their destination."""
        return self.stage(context, format=self.format)
