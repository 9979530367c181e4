"""The parts of an Airflow connection that backends use, without Airflow, so that jobs can run elsewhere."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_wall.errors import ConnectionFault
from airflow_wall.redaction import hide

FILE_VARIABLE = "AIRFLOW_WALL_CONNECTIONS"
"""Variable in which `airflow-wall run` names its file of connections, which may be missing."""

_SENSITIVE = re.compile(
    r"access_?key|api[-_]?key|authorization|cookie|credential|headers|keyfile_dict|passphrase|passw|private_?key"
    r"|scram_|secret|token",
    re.IGNORECASE,
)
"""Names of extras whose values are secrets."""

_PLAIN = re.compile(
    r"accept|accept-(encoding|language)|content-type|user-agent|.*(_file|_path|_id|_secret_name)", re.IGNORECASE
)
"""Names of extras and headers whose values are not secrets, although the name matches the pattern above."""

_TOKEN = 8
"""Minimum length of a secret in a URL's path: shorter parts are words such as `hook`, which messages may need."""


_WITH_USERS = ("postgres", "sqlite")
"""Types of connections whose `login` is the name of a user. Elsewhere, without a password, it is often a token."""

_ID = re.compile(r"[^\s:@/\\]+")


def check_conn_id(text: str) -> str:
    """
    Return `text` if it can be the id of a connection.

    :raises ConnectionFault: it is an address or something else. It may hold a password, so it is not repeated.
    """
    if _ID.fullmatch(text) and text.isprintable():
        return text
    if "://" in text or "@" in text:
        message = "`conn_id` must be the id of an Airflow connection, not an address"
    else:
        message = "`conn_id` must be the id of an Airflow connection: letters, digits, `.`, `_` and `-`"
    raise ConnectionFault(message, hint="write its id; address and password belong into the connection itself")


def is_address(text: str) -> bool:
    """Return True if a text in place of a connection's id is an address. Airflow's ids may hold `/` and `:`."""
    return "://" in text or "@" in text or ("{{" not in text and any(map(str.isspace, text)))


@dataclass(frozen=True)
class ConnectionInfo:
    """
    One Airflow connection, as plain values.

    :param conn_id: Name of the connection, as the YAML writes it.
    :param conn_type: Airflow's connection type, e.g. `sqlite`, `postgres`, `http`.
    :param schema: Airflow's "schema" field: for SQL types the database.
    """

    conn_id: str
    conn_type: str
    host: str | None = field(default=None, repr=False)  # of a webhook it may be a URL with a password
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Return `text` without the secrets of this connection, and with URLs cut to scheme and host."""
        return hide(text, self.secrets())

    def secrets(self) -> list[str]:
        """Return the values of this connection that no message may show."""
        secrets = [self.password] if self.password else []
        if self.password:
            secrets.append(_basic(self.login or "", self.password))
        elif self.login and self.conn_type not in _WITH_USERS:
            secrets += [self.login, _basic(self.login, "")]
        if self.host and self._holds_url(self.host):
            secrets += _secrets_of_url(self.host)
        secrets += _sensitive(self.extra, inside=False)
        return [secret for secret in dict.fromkeys(secrets) if secret]

    def _holds_url(self, host: str) -> bool:
        """Return True if a host is a URL, with or without a scheme. The host of a database may also be a path."""
        if "://" in host or "@" in host:
            return True
        return self.conn_type not in _WITH_USERS and any(sign in host for sign in "/?#")


class Connections(Protocol):
    """Returns a connection by its id. Raises ConnectionFault, which names the places that were searched."""

    def __call__(self, conn_id: str, /) -> ConnectionInfo:
        """Return the connection of that id."""


def _basic(login: str, password: str) -> str:
    """Return login and password as the header of basic authentication writes them."""
    return base64.b64encode(f"{login}:{password}".encode()).decode()


def _secrets_of_url(url: str) -> Iterator[str]:
    """Yield login, path and query of a URL with or without a scheme, whole and in parts, as written and decoded."""
    if "://" not in url:
        url = f"//{url.removeprefix('//')}"
    user, at, _ = url.partition("//")[2].rpartition("@")
    if at:
        login, _, password = user.partition(":")
        secret = password or login
        yield from (user, secret, urllib.parse.unquote(secret))
        yield _basic(urllib.parse.unquote(login), urllib.parse.unquote(password))
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return
    yield from (parts.path.strip("/"), parts.query, parts.fragment)
    for part in parts.path.split("/"):
        if len(part) >= _TOKEN:
            yield from (part, urllib.parse.unquote(part))
    for _, value in urllib.parse.parse_qsl(parts.query):
        yield value


def _sensitive(value: Any, *, inside: bool) -> Iterator[str]:
    """Yield the texts below `value` that are secrets; `inside`: the name of `value` says that it is one."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            secret = (inside or bool(_SENSITIVE.search(str(name)))) and not _PLAIN.fullmatch(str(name))
            yield from _sensitive(part, inside=secret)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _sensitive(part, inside=inside)
    elif isinstance(value, str):
        if inside:
            yield value
            yield from _sensitive(_parsed(value), inside=True)
        if "://" in value and "@" in value:
            yield from _secrets_of_url(value)


def _parsed(text: str) -> Any:
    """Return the mapping or list that a text is as JSON, as `keyfile_dict` often is, else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
