"""`GetCredentialsOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.hooks.credentials import prove
from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GetCredentialsOperator(StepOperator):
    """
    Prove that a connection can be used, before anything is started that needs it.

    Of a connection to AWS or Google a token is made, the cloud is asked whose it is, and it is thrown away.

    :param conn_id: The Airflow connection. (templated)
    :param role: AWS: the ARN of a role to assume; Google: a service account to impersonate. (templated)
    :param scopes: Google: what the token is for. (templated)
    :param permissions: Google: what it must be allowed in the connection's project. (templated)
    """

    template_fields: Sequence[str] = ("conn_id", "role", "scopes", "permissions")

    def __init__(
        self,
        *,
        conn_id: str,
        role: str | None = None,
        scopes: Sequence[str] | None = None,
        permissions: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.role = role
        self.scopes = scopes
        self.permissions = permissions

    def execute(self, context: Context) -> dict[str, Any]:
        """Return a reference to the credentials and whose they are, never the secret."""
        found = self.do(context, "get_credentials", conn_id=self.conn_id)
        with self.told(context):
            proof = prove(
                found["conn_type"],
                self.conn_id,
                role=self.role,
                scopes=self.scopes or (),
                permissions=self.permissions or (),
            )
        if proof:
            self.log.info("connection %s is that of %s", self.conn_id, proof["principal"])
        return {**found, **proof}
