"""Clients of buckets, made of Airflow's connections. An extra that cannot be honoured is rejected by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from airflow_wall.connections.extras import rejected, resolved
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault

if TYPE_CHECKING:
    from obstore.store import GCSStore, RetryConfig, S3Store

RETRIES: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
"""How long a client repeats a request that a store did not answer. Then Airflow's retry of the task takes over."""

_S3_HONOURED = frozenset(
    {
        "assume_role_kwargs", "assume_role_method", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
        "endpoint_url", "profile_name", "region_name", "role_arn", "service_config", "verify",
    }
)  # fmt: skip
_GS_HONOURED = frozenset({"key_path", "keyfile_dict", "project"})


def s3_store(bucket: str, connection: ConnectionInfo | None, prefix: str | None = None) -> S3Store:
    """
    Return a client of a bucket of S3.

    :param prefix: The folder that all names are below.
    :param connection: A connection of type `aws`; None for the identity of the machine or pod, and its variables.
    :raises ConnectionFault: it has another type or an extra that cannot be honoured, or a package is not installed.
    """
    _check_installed()
    from obstore.store import S3Store

    if connection is None:
        return S3Store(bucket, prefix=prefix, retry_config=RETRIES)
    extra = _extra(connection, "aws", _S3_HONOURED)
    endpoint = _endpoint(extra)
    region = extra.get("region_name") or "us-east-1"
    options: dict[str, Any] = {"prefix": prefix, "region": region, "retry_config": RETRIES}
    if endpoint:
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    client = {"allow_http": True} if str(endpoint).startswith("http://") else {}
    if str(extra.get("verify", True)).lower() == "false":
        client["allow_invalid_certificates"] = True
    elif isinstance(extra.get("verify"), str):
        raise rejected(connection, "verify", "give the authority to the machine, as `SSL_CERT_FILE`, and remove it")
    if client:
        options["client_options"] = client
    if extra.keys() & {"role_arn", "profile_name"}:
        return S3Store(bucket, credential_provider=_session_of(connection, extra), **options)
    key = extra.get("aws_access_key_id") or connection.login
    secret = extra.get("aws_secret_access_key") or connection.password
    if key and secret:
        options |= {"access_key_id": key, "secret_access_key": secret}
        if extra.get("aws_session_token"):
            options["session_token"] = extra["aws_session_token"]
    return S3Store(bucket, **options)


def s3_table_options(connection: ConnectionInfo | None) -> dict[str, str]:
    """
    Return the options by which delta-rs opens tables in S3. Keys of an assumed role are fresh, and are not renewed.

    :raises ConnectionFault: as `s3_store`.
    """
    if connection is None:
        return {}
    extra = _extra(connection, "aws", _S3_HONOURED)
    options = {"aws_region": extra.get("region_name") or "us-east-1"}
    if endpoint := _endpoint(extra):
        options |= {"aws_endpoint": endpoint, "aws_virtual_hosted_style_request": "false"}
        options |= {"allow_http": "true"} if endpoint.startswith("http://") else {}
    if str(extra.get("verify", True)).lower() == "false":
        options["allow_invalid_certificates"] = "true"
    if extra.keys() & {"role_arn", "profile_name"}:
        keys = _session_of(connection, extra)()
        secrets = (keys["access_key_id"], keys["secret_access_key"], keys.get("token"))
    else:
        key = extra.get("aws_access_key_id") or connection.login
        secrets = (key, extra.get("aws_secret_access_key") or connection.password, extra.get("aws_session_token"))
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return options | {name: str(value) for name, value in zip(names, secrets, strict=True) if value}


def gs_table_options(connection: ConnectionInfo | None) -> dict[str, str]:
    """
    Return the options by which delta-rs opens tables in Google Cloud Storage.

    :raises ConnectionFault: as `gs_store`.
    """
    if connection is None:
        return {}
    extra = _extra(connection, "google_cloud_platform", _GS_HONOURED)
    if extra.get("keyfile_dict"):
        text = _key_text(extra["keyfile_dict"])
        plain = {"allow_http": "true"} if _is_plain(text) else {}
        return {"google_service_account_key": text, **plain}
    return {"google_service_account": str(extra["key_path"])} if extra.get("key_path") else {}


def gs_store(bucket: str, connection: ConnectionInfo | None, prefix: str | None = None) -> GCSStore:
    """
    Return a client of a bucket of Google Cloud Storage.

    :param prefix: The folder that all names are below.
    :param connection: A connection of type `google_cloud_platform`; None for the identity of the machine or pod.
    :raises ConnectionFault: it has another type or an extra that cannot be honoured, or a package is not installed.
    """
    _check_installed()
    from obstore.store import GCSStore

    if connection is None:
        return GCSStore(bucket, prefix=prefix, retry_config=RETRIES)
    extra = _extra(connection, "google_cloud_platform", _GS_HONOURED)
    key = extra.get("keyfile_dict")
    options: dict[str, Any] = {"prefix": prefix, "retry_config": RETRIES}
    if key:
        text = _key_text(key)
        options["service_account_key"] = text
        if _is_plain(text):
            options["client_options"] = {"allow_http": True}
    elif extra.get("key_path"):
        options["service_account_path"] = extra["key_path"]
    return GCSStore(bucket, **options)


def reason_of(error: BaseException) -> str:
    """Return the message of an error of a client, in one line."""
    return " ".join(str(error).split("\n\nDebug source")[0].split())


def is_denied(error: BaseException) -> bool:
    """Return True if a store does not know the identity, or does not allow it what it asked for."""
    from obstore import exceptions

    return isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError | PermissionError)


def _endpoint(extra: Mapping[str, Any]) -> str | None:
    services = extra.get("service_config") or {}
    service = services.get("s3", {}) if isinstance(services, Mapping) else {}
    return service.get("endpoint_url") or extra.get("endpoint_url")


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def _is_plain(key: str) -> bool:
    """Return True for the key of an emulator that speaks plain HTTP."""
    return bool(json.loads(key).get("gcs_base_url", "").startswith("http://"))


def _check_installed() -> None:
    try:
        import obstore  # noqa: F401
    except ImportError:
        raise ConnectionFault(
            "buckets need the package `obstore`, which is not installed here",
            hint="install it on every worker: `pip install 'airflow-wall[buckets]'`",
        ) from None


def _extra(connection: ConnectionInfo, conn_type: str, honoured: frozenset[str]) -> Mapping[str, Any]:
    if connection.conn_type != conn_type:
        raise ConnectionFault(
            f"connection `{connection.conn_id}` must have type `{conn_type}`, got `{connection.conn_type}`",
            hint="correct its type, or name another connection",
        )
    extra = resolved(connection).extra
    for name in sorted(extra.keys() - honoured):
        raise rejected(connection, name, "buckets are not read with it; remove it, or name another connection")
    return extra


def _session_of(connection: ConnectionInfo, extra: Mapping[str, Any]) -> Any:
    """Return a provider of credentials, renewed before they expire, of a profile or an assumed role."""
    if extra.get("assume_role_method") not in (None, "assume_role"):
        raise rejected(connection, "assume_role_method", "buckets are read with `assume_role` only")
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: `role_arn` and `profile_name` need `boto3`, which is missing here",
            hint="install it on every worker: `pip install 'airflow-wall[amazon]'`",
        ) from None
    session = boto3.Session(
        aws_access_key_id=extra.get("aws_access_key_id") or connection.login,
        aws_secret_access_key=extra.get("aws_secret_access_key") or connection.password,
        aws_session_token=extra.get("aws_session_token"),
        region_name=extra.get("region_name") or "us-east-1",
        profile_name=extra.get("profile_name"),
    )
    if "role_arn" not in extra:
        return Boto3CredentialProvider(session)

    def assumed() -> dict[str, Any]:
        """Return keys of the role. The client asks again before they expire."""
        client = session.client("sts", endpoint_url=extra.get("endpoint_url"))
        arguments = {"RoleSessionName": "airflow-wall", **(extra.get("assume_role_kwargs") or {})}
        keys = client.assume_role(RoleArn=extra["role_arn"], **arguments)["Credentials"]
        return {
            "access_key_id": keys["AccessKeyId"],
            "secret_access_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expires_at": keys["Expiration"].astimezone(UTC),
        }

    return assumed
