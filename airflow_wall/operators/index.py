"""`IndexOperator`."""

from __future__ import annotations

from airflow_wall.operators.stage import StageOperator


class IndexOperator(StageOperator):
    """Stage rows for a full-text index, each with an id built from its `key`."""
