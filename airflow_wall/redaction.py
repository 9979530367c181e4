"""Remove secrets from texts that people see: messages, logs, notes and records in the lake."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HIDDEN = "***"

_SHORTEST = 4
"""Minimum length of a secret that is hidden: hiding every `a` in a message would reveal more than it hides."""

# The bound keeps the search linear in a long text without `://`. A quote ends a URL unless a letter follows.
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})://((?:[^\s`'\"<>]|[`'\"<>](?=\w))*)")

_SERVER = re.compile(r"(?:[\w-]+(?:\.[\w-]+)+|localhost|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:[/?#].*|[.,;)]*)")
"""Text after `://` that holds no login."""

_LOGIN_AND_SERVER = re.compile(rf"[^/?#]*@(?:{_SERVER.pattern}|[\w-]+:\d+(?:[/?#].*)?)")

_NAME = re.compile(r"[\w-]+/.*")
_NAMED = ("file", "files", "gs", "s3", "search", "sql", "webhook")
"""Schemes of addresses that begin with a name instead of a server."""

_BUCKET = re.compile(r"[\w.-]+@[a-z0-9][\w.-]*(?:/[^@]*)?")
_BUCKETS = ("gs", "s3")
"""Schemes of buckets. The text before the `@` is the id of a connection. It is not secret, and has no `:`."""

_URL_END = re.compile(r"[^\s`'\"<>]*")

_REACH = 1_000
"""Characters after the end of a URL in which its `@` is searched: a password may contain spaces."""


def short_url(url: str) -> str:
    """
    Return the scheme, host and port of a URL, without login, password, path and query.

    A URL whose parts are ambiguous is cut to its scheme.
    """
    scheme, _, rest = url.partition("://")
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{scheme}://{HIDDEN}"
    # An unquoted `/`, `?` or `#` in a password moves its `@`, and part of the password looks like the host.
    if not host or "@" in rest[len(parts.netloc) :]:
        return f"{scheme}://{HIDDEN}"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + (f":{port}" if port is not None else "")


def hide_urls(text: str) -> str:
    """
    Return `text` with each URL in it cut to scheme, host and port.

    A password may contain spaces and quotes: if the end of a login is ambiguous, the text after it is hidden too.
    """
    return _replaced(text, ((url, short_url(url.text)) for url in _urls(text)))


def hide_logins(text: str) -> str:
    """Return `text` with each URL that holds a login cut to its scheme; other URLs stay whole."""
    return _replaced(text, ((url, url.hidden) for url in _urls(text) if url.has_login))


def login_spans(line: str) -> list[tuple[int, int, str]]:
    """Return beginning, end and replacement of each URL in a line that holds a login."""
    return [(url.start, url.end, url.hidden) for url in _urls(line) if url.has_login]


@dataclass(frozen=True)
class _Url:
    """
    A URL in a text.

    :param has_login: True if it holds a login, or may hold one.
    :param is_whole: True if its end is known.
    """

    start: int
    end: int
    text: str
    has_login: bool
    is_whole: bool

    @property
    def hidden(self) -> str:
        return f"{self.text.partition('://')[0]}://{HIDDEN}"


def _urls(text: str) -> Iterator[_Url]:
    position, last = 0, text.rfind("@")
    while match := _URL.search(text, position):
        scheme, rest = match.groups()
        end = match.end()
        tail = text[end : end + _REACH].partition("\n")[0] if end <= last else ""
        sign = tail.rfind("@") + 1
        # `user:a b@host`: the login continues after the apparent end.
        goes_on = sign > 0 and not _is_whole(scheme, rest, tail[:sign])
        if goes_on:
            end_match = _URL_END.match(text, end + sign)
            end = end_match.end() if end_match else end + sign
        in_authority = "@" in re.split("[/?#]", rest, maxsplit=1)[0]
        may_have_login = in_authority or ("@" in rest and not _SERVER.fullmatch(rest))
        has_login = goes_on or (may_have_login and not _is_bucket(scheme, rest))
        yield _Url(match.start(), end, text[match.start() : end], has_login, not goes_on)
        position = end


def _is_whole(scheme: str, rest: str, tail: str) -> bool:
    """
    Return True if the text after `://` ends there although an `@` follows in the line.

    :param tail: The text from there to that `@`.
    """
    if not re.search(r"\s", tail):
        return False
    if _is_bucket(scheme, rest) or _LOGIN_AND_SERVER.fullmatch(rest) or (scheme in _NAMED and _NAME.fullmatch(rest)):
        return True
    return bool(_SERVER.fullmatch(rest)) and ("/" in rest or ":" not in tail)


def _is_bucket(scheme: str, rest: str) -> bool:
    """Return True if the text after `://` is a bucket with the connection that it is read by."""
    return scheme.lower() in _BUCKETS and _BUCKET.fullmatch(rest) is not None


def _replaced(text: str, urls: Iterable[tuple[_Url, str]]) -> str:
    """Return `text` with each URL replaced; a URL whose end is unknown is cut to its scheme."""
    pieces, position = [], 0
    for url, replacement in urls:
        pieces += [text[position : url.start], replacement if url.is_whole else url.hidden]
        position = url.end
    return "".join([*pieces, text[position:]])


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without `secrets`, however they are quoted, and with each URL cut to scheme, host and port."""
    forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return hide_urls(text)


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a message may contain a secret."""
    yield secret
    yield urllib.parse.quote(secret)
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
