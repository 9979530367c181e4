"""
Try each secret and address of a deployment before any component starts: `python -m airflow_wall.deployment.preflight`.

It checks what the environment sets of the metadata database, the Celery broker, the result backend, and the keys. Each
fault is one line with its fix. The exit code is 0 if all is well, else 1. No line shows a secret.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping

from airflow_wall.deployment.probe import configured
from airflow_wall.errors import DeploymentError
from airflow_wall.redaction import hide_urls, short_url

TIMEOUT = 10
"""Seconds to connect."""

SHORTEST_KEY = 16
"""Minimum length of a key that signs. Airflow's own are longer."""

DATABASE = ("database", "sql_alchemy_conn")
BROKER = ("celery", "broker_url")
RESULTS = ("celery", "result_backend")
FERNET = ("core", "fernet_key")
SIGNING = (("api_auth", "jwt_secret"), ("api", "secret_key"))


def faults(environ: Mapping[str, str]) -> Iterator[str]:
    """Return each fault of the settings in `environ`, with its fix. A setting that is not there is not checked."""
    checks: dict[tuple[str, str], Callable[[str], None]] = {
        DATABASE: connect_database,
        BROKER: connect_queue,
        RESULTS: connect_results,
        FERNET: check_fernet_key,
        **dict.fromkeys(SIGNING, check_signing_key),
    }
    for (section, option), check in checks.items():
        value = configured(environ, section, option)
        if value is None:
            continue
        name = f"[{section}] {option}"
        try:
            check_text(value)
            check(value)
        except DeploymentError as error:
            yield f"{name}: {error.message}; {error.hint}"
        except Exception as error:
            address = f" ({short_url(value)})" if "://" in value else ""
            reason = " ".join(hide_urls(str(error)).replace(value, "***").split())
            yield f"{name}{address}: {type(error).__name__}: {reason}"


def check_text(value: str) -> None:
    """
    Check that a secret has no text around it that its author does not see.

    :raises DeploymentError: it is empty, or has spaces, line breaks or quotes around it.
    """
    if not value.strip():
        raise DeploymentError("the secret is empty", hint="write its value into the Secret's key")
    if value != value.strip():
        raise DeploymentError(
            "the secret begins or ends with a space or a line break",
            hint="create it without one: `printf %s VALUE`, or `--from-literal`",
        )
    if value[0] == value[-1] and value[0] in "\"'":
        raise DeploymentError("the secret has quotes around it", hint="write it without them")


def connect_database(url: str) -> None:
    """Connect to a SQL database."""
    import sqlalchemy  # imported here, as below: each deployment has only the packages of its own servers

    scheme = url.partition("://")[0]
    arguments = {"connect_timeout": TIMEOUT} if "postgresql" in scheme else {}
    engine = sqlalchemy.create_engine(url, connect_args=arguments, poolclass=sqlalchemy.NullPool)
    with engine.connect() as database:
        database.execute(sqlalchemy.text("SELECT 1"))


def connect_queue(url: str) -> None:
    """
    Connect to a broker.

    :raises DeploymentError: the URL of a Redis with TLS does not say how its certificate is checked.
    """
    from celery import Celery

    if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        raise DeploymentError(
            "Celery does not connect by `rediss://` without `ssl_cert_reqs`",
            hint="write `rediss://...?ssl_cert_reqs=required`, and `&ssl_ca_certs=FILE` for an authority of your own",
        )
    with Celery(broker=url, set_as_current=False).connection_for_read(connect_timeout=TIMEOUT) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT)


def connect_results(url: str) -> None:
    """Connect to a result backend: a SQL database if the URL begins with `db+`, else as to a broker."""
    if url.startswith("db+"):
        connect_database(url.removeprefix("db+"))
    else:
        connect_queue(url)


def check_fernet_key(value: str) -> None:
    """
    Check the keys that encrypt connections.

    :raises DeploymentError: one is not a key.
    """
    from cryptography.fernet import Fernet

    for key in value.split(","):
        try:
            Fernet(key.encode())
        except ValueError:
            raise DeploymentError(
                "it is not a Fernet key",
                hint="create one: `openssl rand -base64 32 | tr '+/' '-_'`",
            ) from None


def check_signing_key(value: str) -> None:
    """
    Check a key that signs.

    :raises DeploymentError: it is too short to be one.
    """
    if len(value) < SHORTEST_KEY:
        raise DeploymentError(
            f"it has {len(value)} characters, fewer than {SHORTEST_KEY}", hint="create one: `openssl rand -hex 32`"
        )


def main() -> int:
    """Print each fault and return the exit code."""
    count = 0
    for fault in faults(os.environ):
        count += 1
        print(f"error: {fault}", file=sys.stderr, flush=True)  # noqa: T201
    if not count:
        print("all secrets and addresses are fine")  # noqa: T201
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
