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
    Check that a connection works, before the run starts resources that need it.

    For AWS and Google it creates a token, asks the cloud for the identity behind it, and discards the token.

    :param conn_id: The Airflow connection. (templated)
    :param role: AWS: the ARN of a role to assume; Google: a service account to impersonate. (templated)
    :param scopes: Google: OAuth scopes of the token. (templated)
    :param permissions: Google: permissions that it must have in the connection's project. (templated)
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
        """Return a reference to the credentials and their principal, never the secret."""
        reference = self.do(context, "get_credentials", conn_id=self.conn_id)
        with self.error_context(context):
            proof = prove(
                reference["conn_type"],
                self.conn_id,
                role=self.role,
                scopes=self.scopes or (),
                permissions=self.permissions or (),
            )
        if proof:
            self.log.info("connection %s authenticates as %s", self.conn_id, proof["principal"])
        return {**reference, **proof}
