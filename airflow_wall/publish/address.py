"""The value of `to`: where a part of a release goes, as `SCHEME://...`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

from airflow_wall.errors import ReleaseError

FORMS = {
    "sql": "sql://CONN/TABLE",
    "search": "search://CONN/INDEX",
    "files": "files://NAME",
    "webhook": "webhook://CONN",
}
"""How a `to` of each scheme is written."""

PLANNED = ("kaggle",)
"""Schemes that a later version understands."""

# Lower case only: SQLite does not tell `Scores` from `scores`, Postgres does. 40: suffixes must fit into Postgres' 63.
_TABLE = re.compile(r"(?!sqlite_|pg_|wall_)[a-z_][a-z0-9_]{0,39}(?<!__releases)(?<!__search)")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Address:
    """
    A parsed `to`.

    :param to: The text it came from.
    :param scheme: One of `FORMS`.
    :param conn_id: The Airflow connection; empty for `files`.
    :param name: Table, index or folder; empty for `webhook`.
    """

    to: str
    scheme: str
    conn_id: str
    name: str


def parse(to: str) -> Address:
    """
    Return the address that `to` writes.

    :raises ReleaseError: it is none of the accepted forms; the message lists them and the nearest.
    """
    scheme, separator, rest = to.partition("://")
    if scheme in PLANNED:
        raise ReleaseError(
            f"`to`: `{to}` is not supported by this version yet",
            hint=f"write {_one_of(FORMS.values())}",
        )
    if not separator or scheme not in FORMS:
        near = difflib.get_close_matches(scheme, FORMS, n=1)
        did_you_mean = f"; the nearest is `{FORMS[near[0]]}`" if near else ""
        raise ReleaseError(
            f"`to` must be {_one_of(FORMS.values())}, got `{to}`{did_you_mean}",
            hint="begin it with one of these schemes",
        )
    if scheme == "files":
        return Address(to, scheme, "", _word(to, "NAME", rest))
    if scheme == "webhook":
        return Address(to, scheme, _word(to, "CONN", rest), "")
    conn_id, _, name = rest.partition("/")
    what = FORMS[scheme].rpartition("/")[2]
    if not _TABLE.fullmatch(name):
        raise ReleaseError(
            f"`to` must be `{FORMS[scheme]}`, got `{to}`: {what} is `{name}`",
            hint=f"give {what} at most 40 lower-case letters, digits and `_`, not beginning with a digit, "
            "`sqlite_`, `pg_` or `wall_`, nor ending in `__releases` or `__search`",
        )
    return Address(to, scheme, _word(to, "CONN", conn_id), name)


def check_word(key: str, text: str, *, reserved: Collection[str] = ()) -> str:
    """
    Return `text` if it is safe as a file name.

    :param key: The key it came from, for the message.
    :raises ReleaseError: it is not, or it is one of `reserved`.
    """
    if not _WORD.fullmatch(text) or text in reserved:
        raise ReleaseError(
            f"`{key}` must be letters, digits, `.`, `_` and `-`, beginning with a letter or a digit, got `{text}`"
            if text not in reserved
            else f"`{key}` cannot be `{text}`: the name is taken",
            hint=f"choose another `{key}`",
        )
    return text


def _word(to: str, what: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        scheme = to.partition("://")[0]
        raise ReleaseError(
            f"`to` must be `{FORMS[scheme]}`, got `{to}`: {what} is `{text}`",
            hint=f"give {what} letters, digits, `.`, `_` and `-`, beginning with a letter or a digit",
        )
    return text


def _one_of(forms: Collection[str]) -> str:
    *head, last = (f"`{form}`" for form in forms)
    return f"{', '.join(head)} or {last}"
