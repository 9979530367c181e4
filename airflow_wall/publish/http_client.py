"""
The HTTP client of a connection of type `http`, with its login and every extra that Airflow's own hook reads.

Logs show only scheme, host and port of a URL, because the path and query of a webhook are often its secret.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from airflow_wall.connections.extras import rejected
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.redaction import short_url

TIMEOUT = 10.0
"""Timeout in seconds if the connection has no `timeout`."""

_OWN_HEADERS = ("content-length", "content-type", "idempotency-key", "transfer-encoding")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_PROXIED = {"http": "http://", "https": "https://", "all": "all://"}


class _ShortUrls(logging.Filter):
    """Shortens the URLs that httpx logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(short_url(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


logging.getLogger("httpx").addFilter(_ShortUrls())


@dataclass(frozen=True)
class HttpClient:
    """
    Sends requests to the server of a connection.

    :param proxies: Proxy URL by scheme; None means the proxies of the environment, if `trust_env` is set.
    """

    headers: Mapping[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)
    timeout: httpx.Timeout
    context: ssl.SSLContext
    proxies: Mapping[str, str] | None = field(repr=False)
    trust_env: bool

    def get(self, url: httpx.URL) -> httpx.Response:
        """
        Send one GET request, without following redirects.

        :raises httpx.TransportError: the server does not answer.
        """
        with self._open() as client:
            return client.get(url, headers=self.headers)

    def post(self, url: httpx.URL, content: BinaryIO, headers: Mapping[str, str]) -> httpx.Response:
        """
        Send one POST request, without following redirects.

        :param content: The body, read from its beginning.
        :raises httpx.TransportError: the server does not answer.
        """
        with self._open() as client:
            return client.post(url, content=content, headers={**self.headers, **headers})

    def _open(self) -> httpx.Client:
        mounts = {
            pattern: httpx.HTTPTransport(proxy=proxy, verify=self.context)
            for pattern, proxy in (self.proxies or {}).items()
        }
        return httpx.Client(
            verify=self.context,
            mounts=mounts,
            timeout=self.timeout,
            trust_env=self.trust_env and self.proxies is None,
            follow_redirects=False,
            auth=self.auth,
        )


def server_url(connection: ConnectionInfo) -> httpx.URL:
    """
    Return the URL of a connection's server.

    :raises ConnectionFault: the connection has no host, or its host cannot be read as a URL.
    """
    if not connection.host:
        raise ConnectionFault(f"connection `{connection.conn_id}` has no `host`", hint="set the host in the connection")
    base = connection.host if "://" in connection.host else f"{connection.schema or 'http'}://{connection.host}"
    try:
        url = httpx.URL(base)
        url = url.copy_with(port=connection.port) if connection.port else url
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx.InvalidURL("no server")
    except (httpx.InvalidURL, TypeError, ValueError):
        # The error would quote a part of the URL, which may be a part of the password.
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: expected the URL of a server in `host`, got something else",
            hint="write, e.g., `https://example.com/hook`; in a login or password, write `@`, `:`, `/`, `#` and `?` as "
            "`%40`, `%3A`, `%2F`, `%23` and `%3F`",
        ) from None
    return url


def http_client(connection: ConnectionInfo, url: httpx.URL) -> HttpClient:
    """
    Return the client of a connection whose extras are resolved.

    :param url: The URL, whose login is used if the connection has none.
    :raises ConnectionFault: an extra is not supported; the message names it without its value.
    """
    extra = connection.extra
    trust_env = _flag(connection, "trust_env", extra.get("trust_env", True))
    headers = _headers(connection)
    return HttpClient(
        headers=headers,
        auth=_auth(connection, url, headers),
        timeout=_timeout(connection),
        context=_context(connection, url, trust_env=trust_env),
        proxies=_proxies(connection),
        trust_env=trust_env,
    )


def _invalid_extra(connection: ConnectionInfo, name: str, expected: str, hint: str) -> ConnectionFault:
    return ConnectionFault(
        f"connection `{connection.conn_id}`: the extra `{name}` must be {expected}, got something else", hint=hint
    )


def _flag(connection: ConnectionInfo, name: str, value: Any) -> bool:
    """Return a boolean. It may be text, because a connection written as a URL holds only text."""
    values = {"true": True, "1": True, "false": False, "0": False}
    flag = values.get(str(value).lower())
    if flag is None:
        raise _invalid_extra(connection, name, "true or false", f'write it as in `{{"{name}": false}}`')
    return flag


def _headers(connection: ConnectionInfo) -> dict[str, str]:
    configured = connection.extra.get("headers", {})
    if not isinstance(configured, Mapping):
        raise _invalid_extra(connection, "headers", "a mapping", 'write it as in `{"headers": {"X-Team": "a"}}`')
    headers = {}
    for name, value in configured.items():
        if not _TOKEN.fullmatch(name):
            raise _invalid_extra(
                connection, "headers", "a mapping of names of headers", "write names of letters, digits and `-`"
            )
        if name.lower() in _OWN_HEADERS:
            raise rejected(connection, f"headers.{name}", "every webhook sends its own; remove it")
        if isinstance(value, bool) or not isinstance(value, str | int) or not _VALUE.fullmatch(str(value)):
            raise _invalid_extra(connection, f"headers.{name}", "one line of ASCII text", "correct its value")
        headers[name] = str(value)
    return headers


def _auth(connection: ConnectionInfo, url: httpx.URL, headers: Mapping[str, str]) -> tuple[str, str] | None:
    logins = {
        "`login`": bool(connection.login),
        "the URL in `host`": bool(url.userinfo),
        "the header `Authorization`": "authorization" in {name.lower() for name in headers},
    }
    sources = [where for where, is_set in logins.items() if is_set]
    if len(sources) > 1:
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: {' and '.join(sources)} both hold a login", hint="remove one of them"
        )
    if connection.password and not connection.login:
        raise ConnectionFault(
            f"connection `{connection.conn_id}` has a `password` and no `login`, so it would not be sent",
            hint='set `login`, or send a token by `{"headers": {"Authorization": "Bearer TOKEN"}}`',
        )
    if connection.login:
        return connection.login, connection.password or ""
    return (url.username, url.password) if url.userinfo else None


def _timeout(connection: ConnectionInfo) -> httpx.Timeout:
    value = connection.extra.get("timeout", TIMEOUT)
    try:
        connect, read = value if isinstance(value, list | tuple) else (value, value)
        if isinstance(connect, bool) or isinstance(read, bool) or not 0 < min(float(connect), float(read)) < 1e6:
            raise ValueError
    except (TypeError, ValueError):
        hint = "write seconds, e.g. `10`, or `[3, 30]` to connect and to answer"
        raise _invalid_extra(connection, "timeout", "a positive number", hint) from None
    return httpx.Timeout(float(read), connect=float(connect))


def _context(connection: ConnectionInfo, url: httpx.URL, *, trust_env: bool) -> ssl.SSLContext:
    """Return the TLS context, with the trusted authorities and the client certificate."""
    name = "verify" if "verify" in connection.extra else "verify_ssl"
    verify = connection.extra.get(name, True)
    cert = connection.extra.get("cert")
    checks = isinstance(verify, str) and verify.lower() not in ("true", "false", "1", "0")
    if url.scheme != "https" and (checks or cert is not None):
        raise rejected(
            connection, name if checks else "cert", "it needs TLS: write `https://` before `host`, or set `schema`"
        )
    if not checks and not _flag(connection, name, verify):
        context = httpx.create_ssl_context(verify=False)
    elif checks:
        context = _context_with_authorities(connection, name, str(verify))
    else:
        context = httpx.create_ssl_context(trust_env=trust_env)
    if cert is not None:
        _load_certificate(connection, context, cert)
    return context


def _context_with_authorities(connection: ConnectionInfo, name: str, path: str) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file, or of a directory prepared with `openssl rehash`."""
    is_folder = Path(path).is_dir()
    try:
        return ssl.create_default_context(cafile=None if is_folder else path, capath=path if is_folder else None)
    except (OSError, ValueError):
        hint = "use a file or directory of certificates that every worker can read"
        raise _invalid_extra(connection, name, "true, false or a file of certificates", hint) from None


def _load_certificate(connection: ConnectionInfo, context: ssl.SSLContext, cert: Any) -> None:
    """Load the client certificate that TLS sends to the server."""

    def no_password() -> str:
        raise ValueError("the key is encrypted")  # without this function OpenSSL asks at the terminal

    certificate, *key = cert if isinstance(cert, list | tuple) else [cert]
    try:
        if len(key) > 1:
            raise ValueError("more than a certificate and its key")
        context.load_cert_chain(certificate, key[0] if key else None, no_password)
    except (OSError, TypeError, ValueError):
        hint = 'write `"cert": ["CERTIFICATE.pem", "KEY.pem"]`, files that every worker can read, the key not encrypted'
        raise _invalid_extra(connection, "cert", "the file of a certificate and its key", hint) from None


def _proxies(connection: ConnectionInfo) -> dict[str, str] | None:
    name = "proxies" if "proxies" in connection.extra else "proxy"
    configured = connection.extra.get(name)
    if configured is None:
        return None
    proxies = {}
    for scheme, proxy in (configured if isinstance(configured, Mapping) else {"all": configured}).items():
        pattern = _PROXIED.get(scheme)
        try:
            usable = httpx.Proxy(proxy).url.host if isinstance(proxy, str) else ""
        except (httpx.InvalidURL, ValueError):
            usable = ""
        if pattern is None or not usable:
            hint = 'write it as in `{"proxies": {"https": "http://proxy:3128"}}`'
            raise _invalid_extra(connection, name, "a URL, or a mapping of `http`, `https` and `all` to one", hint)
        proxies[pattern] = proxy
    return proxies
