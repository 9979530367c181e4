"""Proofs that a connection to a cloud may do what a run will ask of it. What they make is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow_wall.errors import ConnectionFault, Interrupted

_SESSION = "airflow-wall-proof"
_SHORTEST = 900
"""Seconds that an assumed role lasts at least, as AWS has it."""

_IAM = "https://cloudresourcemanager.googleapis.com/v1/projects/{project}:testIamPermissions"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def prove(
    conn_type: str, conn_id: str, *, role: str | None, scopes: Sequence[str], permissions: Sequence[str]
) -> dict[str, Any]:
    """
    Make a token by a connection, ask its cloud whose it is and what it may do, and throw it away.

    :param role: AWS: the ARN of a role; Google: a service account to impersonate. None: the connection's own.
    :param scopes: Google: what the token is for.
    :param permissions: Google: what it must be allowed in the connection's project.
    :return: Who it is, never a secret. Empty for connections of other types, where there is nothing to ask.
    :raises ConnectionFault: the cloud refuses; names role, connection and its reason.
    :raises Interrupted: the cloud does not answer.
    """
    proof = PROOFS.get(conn_type)
    if proof is None:
        if role or scopes or permissions:
            known = " or ".join(f"`{name}`" for name in PROOFS)
            raise ConnectionFault(
                f"`conn_id`: connection `{conn_id}` has type `{conn_type}`, which knows no role, scopes or permissions",
                hint=f"name a connection of type {known}, or remove `role`, `scopes` and `permissions`",
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
        hint = "remove them; AWS says what a role may do when it does it"
        raise ConnectionFault("`scopes` and `permissions` are Google's; AWS has no such question", hint=hint)
    try:
        region = StsHook(aws_conn_id=conn_id).region_name or "us-east-1"  # identities are the same in all
        client = StsHook(aws_conn_id=conn_id, region_name=region).get_conn()
        if role is None:
            principal = client.get_caller_identity()["Arn"]
        else:
            assumed = client.assume_role(RoleArn=role, RoleSessionName=_SESSION, DurationSeconds=_SHORTEST)
            principal = assumed["AssumedRoleUser"]["Arn"]
    except ClientError as error:
        said = error.response["Error"]
        raise _refused(conn_id, role, f"{said.get('Message')} ({said.get('Code')})") from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise _refused(conn_id, role, str(error)) from error
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
                raise _refused(conn_id, role, body.get("error", {}).get("message", f"HTTP {answer.status_code}"))
            missing = sorted(set(permissions).difference(body.get("permissions", ())))
            if missing:
                listed = ", ".join(f"`{each}`" for each in missing)
                raise _refused(conn_id, role, f"it has not {listed} in project `{hook.project_id}`")
    except GoogleAuthError as error:
        if error.retryable:
            raise Interrupted(f"`conn_id`: connection `{conn_id}`: Google does not answer: {error}") from error
        raise _refused(conn_id, role, str(error)) from error
    except RequestException as error:
        raise Interrupted(f"`conn_id`: connection `{conn_id}`: Google does not answer: {error}") from error
    principal = role or getattr(credentials, "service_account_email", None)
    return {"principal": principal, "project": hook.project_id}


def _refused(conn_id: str, role: str | None, reason: str) -> ConnectionFault:
    whose = f"role `{role}` by connection `{conn_id}`" if role else f"connection `{conn_id}`"
    return ConnectionFault(f"`conn_id`: {whose} is refused: {reason}", hint="grant it that, or name another")


PROOFS: dict[str, Callable[[str, str | None, Sequence[str], Sequence[str]], dict[str, Any]]] = {
    "aws": _aws,
    "google_cloud_platform": _google,
}
"""Type of connection to its proof."""
