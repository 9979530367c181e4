"""The step `get_credentials`."""

from __future__ import annotations

from pydantic import Field

from airflow_wall.language.base import ConnId
from airflow_wall.language.steps.base import Step, Text
from airflow_wall.text.kinds import (
    Connection,
    Identity,
    Plain,
)


class GetCredentials(Step):
    """Check that a connection works, before a task that needs it starts."""

    conn_id: Connection[ConnId[Text]] = Field(description="The Airflow connection.")
    role: Identity[Text] | None = Field(
        None, description="AWS: the ARN of a role to assume; Google: a service account to impersonate."
    )
    scopes: Plain[list[str]] | None = Field(
        None, description="Google: the scopes of the token; by default all of the cloud."
    )
    permissions: Plain[list[str]] | None = Field(
        None, description="Google: permissions that it must have in the connection's project."
    )
