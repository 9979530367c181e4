"""`SubmitOperator`."""

from __future__ import annotations

from airflow_wall.operators.stage import StageOperator


class SubmitOperator(StageOperator):
    """Stage rows for a receiver outside, such as a webhook; it gets them when the release is committed."""
