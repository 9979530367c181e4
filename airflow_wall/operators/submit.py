"""`SubmitOperator`."""

from __future__ import annotations

from airflow_wall.operators.stage import StageOperator


class SubmitOperator(StageOperator):
    """Stage rows for an external receiver, such as a webhook; they are sent when the release is committed."""
