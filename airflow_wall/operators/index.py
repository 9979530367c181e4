"""`IndexOperator`."""

from __future__ import annotations

from airflow_wall.operators.stage import StageOperator


class IndexOperator(StageOperator):
    """Stage rows for a full-text index, each under the id that its `key` makes."""
