"""
The extras of Airflow connections: each one is honoured, or rejected by its name.

The lists follow the hooks of Airflow's own providers, so that a connection has the same meaning here. This package
never reads connections of other types, so their extras are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ConnectionFault


@dataclass(frozen=True)
class Extras:
    """
    The extras of one type of connection.

    :param honoured: Names that have an effect.
    :param rejected: Names that Airflow's hooks read but we do not, each with a hint.
    :param defaults: Values of rejected names that are accepted, because they ask for the default behaviour.
    :param hint: Hint for a name that is not an extra of this type.
    """

    honoured: frozenset[str]
    rejected: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    hint: str = ""


_BY_PASSWORD = "set `login` and `password`, or name another connection"  # noqa: S105
_OFF = (False, "false", "False", 0, "0")
_ON = (True, "true", "True", 1, "1")


def _postgres() -> Extras:
    import psycopg

    libpq = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    return Extras(
        frozenset({*libpq, "prepare_threshold", "sqlalchemy_query"} - {"replication"}),
        {
            "iam": f"tokens of AWS, Azure and Redshift are not made here; {_BY_PASSWORD}",
            "redshift": "Redshift is not supported; remove it, or name a connection to a Postgres",
            "redshift-serverless": "Redshift is not supported; remove it, or name a connection to a Postgres",
            "cluster-identifier": "Redshift is not supported; remove it, or name a connection to a Postgres",
            "workgroup-name": "Redshift is not supported; remove it, or name a connection to a Postgres",
            "aws_conn_id": f"tokens of AWS are not made here; {_BY_PASSWORD}",
            "azure_conn_id": f"tokens of Azure are not made here; {_BY_PASSWORD}",
            "cursor": "rows are read as columns here; remove it, or use another connection for other tasks",
            "sqlalchemy_scheme": "the driver is always psycopg; write `postgresql+psycopg`, or remove it",
            "replication": "a replication connection runs no queries; remove it",
        },
        {
            "iam": _OFF,
            "redshift": _OFF,
            "redshift-serverless": _OFF,
            "sqlalchemy_scheme": ("postgresql", "postgresql+psycopg"),
        },
        "write a parameter of libpq, such as `sslmode`",
    )


def _sqlite() -> Extras:
    return Extras(
        frozenset({"cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs"}),
        hint="write a parameter of SQLite's URIs, such as `mode`",
    )


def _mysql() -> Extras:
    import pymysql  # noqa: F401  its absence is reported with the extra to install

    return Extras(
        frozenset({"charset", "ssl", "unix_socket"}),
        {
            "ssl_mode": "write the certificates instead, as in `ssl: {ca: /etc/ssl/ca.pem}`",
            "client": "the driver is always PyMySQL; remove it",
            "cursor": "rows are read as columns here; remove it, or use another connection for other tasks",
            "local_infile": "no file is loaded here; remove it",
            "iam": f"tokens of AWS are not made here; {_BY_PASSWORD}",
            "aws_conn_id": f"tokens of AWS are not made here; {_BY_PASSWORD}",
        },
        {"iam": _OFF, "local_infile": _OFF, "client": ("pymysql",)},
        "write `charset`, `ssl` or `unix_socket`",
    )


def _http() -> Extras:
    final = "a webhook follows no redirect, which would drop its rows; write the final URL in `host`, and remove it"
    return Extras(
        frozenset({"cert", "headers", "proxies", "proxy", "timeout", "trust_env", "verify", "verify_ssl"}),
        {
            "allow_redirects": final,
            "max_redirects": final,
            "check_response": "a refused webhook is always an error; remove it",
            "stream": "the answer of a webhook is read whole; remove it",
            "srv_lookup": "names are not looked up as SRV records; write the host that answers, and remove it",
        },
        {"allow_redirects": _OFF, "check_response": _ON, "stream": _OFF, "srv_lookup": _OFF},
        'write a header as `{"headers": {"NAME": "VALUE"}}`',
    )


def _aws() -> Extras:
    renamed = "Airflow no longer reads it; write"
    return Extras(
        frozenset(
            {
                "assume_role_kwargs", "assume_role_method", "assume_role_with_saml",
                "assume_role_with_web_identity_federation", "assume_role_with_web_identity_federation_audience",
                "assume_role_with_web_identity_token_file", "aws_access_key_id", "aws_secret_access_key",
                "aws_session_token", "config_kwargs", "endpoint_url", "profile_name", "region_name", "role_arn",
                "service_config", "session_kwargs", "verify",
            }
        ),
        {
            "aws_account_id": f"{renamed} the whole ARN in `role_arn`",
            "aws_iam_role": f"{renamed} the whole ARN in `role_arn`",
            "external_id": f'{renamed} `"assume_role_kwargs": {{"ExternalId": ...}}`',
            "host": f"{renamed} `endpoint_url`",
            "profile": f"{renamed} `profile_name`",
            "s3_config_file": f"{renamed} `profile_name`, or `login` and `password`",
            "s3_config_format": f"{renamed} `profile_name`, or `login` and `password`",
        },
    )  # fmt: skip


def _google() -> Extras:
    return Extras(
        frozenset(
            {
                "client_id", "client_secret", "credential_config_file", "idp_extra_params", "idp_issuer_url",
                "impersonation_chain", "is_anonymous", "key_path", "key_secret_name", "key_secret_project_id",
                "keyfile_dict", "project", "quota_project_id", "scope",
            }
        ),
        {
            "num_retries": "calls are repeated by time, not by number; remove it, or leave the 5 of Airflow's form",
            "idp_extra_parameters": "Airflow's hook reads it as `idp_extra_params`; write that",
            "scopes": "the extra is called `scope`: a text of scopes with commas between them",
        },
        {"num_retries": (5, "5")},
    )  # fmt: skip


EXTRAS: Mapping[str, Callable[[], Extras]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mysql": _mysql,
    "http": _http,
    "aws": _aws,
    "google_cloud_platform": _google,
}
"""Type of connection to its extras."""

_SESSION = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")

_ROLE = ("assume_role_kwargs", "assume_role_method")

_NULLABLE = "prepare_threshold"
"""The extra of `postgres` in which null has a meaning: no prepared statements, as PgBouncer may need."""

_HEADERS = ("accept", "authorization", "cookie", "origin", "referer")
"""Headers whose names have no `-`."""


def resolved(connection: ConnectionInfo) -> ConnectionInfo:
    """
    Return the connection with extras that all have an effect, under their short names.

    Empty extras are removed, and so is the prefix `extra__TYPE__` of older versions of Airflow's UI. Resolving a
    connection twice changes nothing.

    :raises ConnectionFault: an extra cannot be honoured; names it, with a hint how to fix it.
    """
    if connection.conn_type not in EXTRAS:
        return connection
    extras = EXTRAS[connection.conn_type]()
    extra = _short_names(connection)
    if connection.conn_type == "http":
        extra = _with_headers(extra)
    for name in sorted(extra):
        if name in extras.honoured:
            continue
        if name not in extras.rejected:
            raise _unknown(connection, name, extras)
        if extra[name] not in extras.defaults.get(name, ()):
            raise rejected(connection, name, extras.rejected[name])
        del extra[name]
    if connection.conn_type == "aws":
        _check_aws(connection, extra)
    return replace(connection, extra=extra)


def rejected(connection: ConnectionInfo, name: str, hint: str) -> ConnectionFault:
    """Return the error for an extra that cannot be honoured."""
    return ConnectionFault(
        f"connection `{connection.conn_id}`: the extra `{name}` of type `{connection.conn_type}` cannot be honoured",
        hint=hint,
    )


def _short_names(connection: ConnectionInfo) -> dict[str, Any]:
    prefix = f"extra__{connection.conn_type}__"
    extra = {
        str(name): value
        for name, value in connection.extra.items()
        if value != "" and (value is not None or name == _NULLABLE)
    }
    prefixed = {name.removeprefix(prefix): value for name, value in extra.items() if name.startswith(prefix)}
    return {**prefixed, **{name: value for name, value in extra.items() if not name.startswith(prefix)}}


def _with_headers(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extras of `http`, with those that Airflow's hook sends as headers moved into `headers`."""
    headers = {name: value for name, value in extra.items() if "-" in name or name.lower() in _HEADERS}
    if not headers:
        return dict(extra)
    own_headers = extra.get("headers") or {}
    rest = {name: value for name, value in extra.items() if name not in headers and name != "headers"}
    return {**rest, "headers": {**headers, **own_headers} if isinstance(own_headers, Mapping) else own_headers}


def _unknown(connection: ConnectionInfo, name: str, extras: Extras) -> ConnectionFault:
    hint = did_you_mean(name, sorted(extras.honoured | extras.rejected.keys()))
    hint = hint or extras.hint or f"write one of {listed(sorted(extras.honoured))}, or remove it"
    return ConnectionFault(
        f"connection `{connection.conn_id}`: `{shown_name(name)}` is not an extra of type `{connection.conn_type}`",
        hint=hint,
    )


def shown_name(name: str) -> str:
    """Return the name of an extra for a message: an extra that is not JSON may be a secret as a whole."""
    return name if re.fullmatch(r"[\w.-]{1,60}", name) else "***"


def _check_aws(connection: ConnectionInfo, extra: Mapping[str, Any]) -> None:
    """Reject extras of `aws` that Airflow's hook would silently leave unread."""
    session = extra.get("session_kwargs") or {}
    for name in session if isinstance(session, Mapping) else ():
        if name not in _SESSION:
            hint = f"write `{name}` beside `session_kwargs`" if name in ("profile_name", "region_name") else "remove it"
            raise rejected(connection, f"session_kwargs.{name}", hint)
    if "role_arn" not in extra:
        for name in _ROLE:
            if name in extra:
                raise rejected(connection, name, "it belongs to a role: write `role_arn` too, or remove it")
