"""`GetCredentialsOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GetCredentialsOperator(StepOperator):
    """
    Prove that a connection can be used, before anything is started that needs it.

    :param conn_id: The Airflow connection. (templated)
    """

    template_fields: Sequence[str] = ("conn_id",)

    def __init__(
        self,
        *,
        conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return a reference to the credentials, never the secret."""
        return self.do(context, "get_credentials", conn_id=self.conn_id)
