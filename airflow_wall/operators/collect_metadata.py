"""`CollectMetadataOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CollectMetadataOperator(StepOperator):
    """
    Write a table with a row for each source and table that the pipelines of a folder name.

    :param target: The table to write. (templated)
    :param pipelines: The folder of the pipelines, below that of the DAG.
    """

    template_fields: Sequence[str] = ("target",)

    def __init__(self, *, target: str, pipelines: str = ".", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.pipelines = pipelines

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the numbers of tables and sources."""
        return self.do(context, "collect_metadata", target=self.target, pipelines=self.pipelines)
