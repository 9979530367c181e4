"""Check that a connection to a cloud has the rights that a run needs. The created tokens are discarded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ConnectionFault, Interrupted

_SESSION = "airflow-wall-proof"
_SHORTEST = 900
"""Shortest duration of an assumed role in seconds that AWS allows."""

_IAM = "https://cloudresourcemanager.googleapis.com/v1/projects/{project}:testIamPermissions"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def prove(
    conn_type: str, conn_id: str, *, role: str | None, scopes: Sequence[str], permissions: Sequence[str]
) -> dict[str, Any]:
    """
    Create a token with a connection, ask the cloud for its identity and rights, and discard it.

    :param role: AWS: the ARN of a role; Google: a service account to impersonate. None: the connection's own.
    :param scopes: Google: OAuth scopes of the token.
    :param permissions: Google: permissions that it must have in the connection's project.
    :return: The identity, never a secret. Empty for connections of other types, which have none.
    :raises ConnectionFault: the cloud refuses; the message names role, connection and reason.
    :raises Interrupted: the cloud does not answer.
    """
    proof = PROOFS.get(conn_type)
    if proof is None:
        if role or scopes or permissions:
            supported = listed(PROOFS, conjunction="or")
            raise ConnectionFault(
                f"`conn_id`: connection `{conn_id}` has type `{conn_type}`, which has no role, scopes or permissions",
                hint=f"use a connection of type {supported}, or remove `role`, `scopes` and `permissions`",
            )
        return {}
    try:
        return proof(conn_id, role, scopes, permissions)
    except ModuleNotFoundError as error:
        extra = "amazon" if conn_type == "aws" else "google"
        raise ConnectionFault(
            f"`conn_id`: connection `{conn_id}` of type `{conn_type}` cannot be used: no module `{error.name}`",
            hint=f"install `airflow-wall[{extra}]` on every worker",
        ) from error


def _aws(conn_id: str, role: str | None, scopes: Sequence[str], permissions: Sequence[str]) -> dict[str, Any]:
    from airflow.providers.amazon.aws.hooks.sts import StsHook
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

    if scopes or permissions:
        hint = "remove them; AWS reports missing rights only when they are used"
        raise ConnectionFault("`scopes` and `permissions` are only supported for Google, not for AWS", hint=hint)
    try:
        region = StsHook(aws_conn_id=conn_id).region_name or "us-east-1"  # identities are the same in all regions
        client = StsHook(aws_conn_id=conn_id, region_name=region).get_conn()
        if role is None:
            principal = client.get_caller_identity()["Arn"]
        else:
            assumed = client.assume_role(RoleArn=role, RoleSessionName=_SESSION, DurationSeconds=_SHORTEST)
            principal = assumed["AssumedRoleUser"]["Arn"]
    except ClientError as error:
        details = error.response["Error"]
        raise _refusal(conn_id, role, f"{details.get('Message')} ({details.get('Code')})") from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise _refusal(conn_id, role, str(error)) from error
    except BotoCoreError as error:
        raise Interrupted(f"`conn_id`: connection `{conn_id}`: AWS does not answer: {error}") from error
    return {"principal": principal}


def _google(conn_id: str, role: str | None, scopes: Sequence[str], permissions: Sequence[str]) -> dict[str, Any]:
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    from google.auth.credentials import with_scopes_if_required
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession, Request
    from requests.exceptions import RequestException

    try:
        hook = GoogleBaseHook(gcp_conn_id=conn_id, impersonation_chain=role)
        credentials = with_scopes_if_required(hook.get_credentials(), list(scopes) or [_SCOPE])
        credentials.refresh(Request())
        if permissions:
            answer = AuthorizedSession(credentials).post(
                _IAM.format(project=hook.project_id), json={"permissions": list(permissions)}, timeout=60
            )
            body = answer.json()
            if not answer.ok:
                raise _refusal(conn_id, role, body.get("error", {}).get("message", f"HTTP {answer.status_code}"))
            missing = sorted(set(permissions).difference(body.get("permissions", ())))
            if missing:
                raise _refusal(conn_id, role, f"it lacks {listed(missing)} in project `{hook.project_id}`")
    except GoogleAuthError as error:
        if error.retryable:
            raise Interrupted(f"`conn_id`: connection `{conn_id}`: Google does not answer: {error}") from error
        raise _refusal(conn_id, role, str(error)) from error
    except RequestException as error:
        raise Interrupted(f"`conn_id`: connection `{conn_id}`: Google does not answer: {error}") from error
    principal = role or getattr(credentials, "service_account_email", None)
    return {"principal": principal, "project": hook.project_id}


def _refusal(conn_id: str, role: str | None, reason: str) -> ConnectionFault:
    identity = f"role `{role}` by connection `{conn_id}`" if role else f"connection `{conn_id}`"
    hint = "grant it this right, or use another connection or role"
    return ConnectionFault(f"`conn_id`: {identity} is refused: {reason}", hint=hint)


PROOFS: dict[str, Callable[[str, str | None, Sequence[str], Sequence[str]], dict[str, Any]]] = {
    "aws": _aws,
    "google_cloud_platform": _google,
}
"""The check by type of connection."""
