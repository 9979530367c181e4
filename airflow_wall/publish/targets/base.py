"""The base of all targets: the parsed value of `to`, written as `SCHEME://...`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from airflow_wall.connections.dataset_names import DatasetName, name_of_table, name_of_text
from airflow_wall.errors import ReleaseError

if TYPE_CHECKING:
    from airflow_wall.connections.info import Connections
    from airflow_wall.job import Run
    from airflow_wall.publish.base import ReleaseSite, TargetWriter

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""A text that is safe as a file name."""

WORD_RULE = "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"
"""The description of `WORD`."""

_CONNECTION = "CONN"


@dataclass(frozen=True)
class Target(ABC):
    """
    A parsed `to`. Each scheme has a subclass, in a module with the name of the scheme.

    A `to` is parsed when a pipeline is read and when a job document or a release document is read. In between, this
    object stands for it. These modules import no library: the import of what writes the rows belongs into `open`.

    :param text: The text that was parsed.
    :param conn_id: The Airflow connection; empty if the form has none.
    :param name: The table, index or directory; empty if the form has none.
    """

    form: ClassVar[str]
    """How it is written: `SCHEME://CONN`, `SCHEME://CONN/NAME` or `SCHEME://NAME`. `CONN` is a connection's id."""

    name_pattern: ClassVar[re.Pattern[str]] = WORD
    """The pattern of the part behind the connection."""

    name_rule: ClassVar[str] = WORD_RULE
    """The description of `name_pattern`, for a hint."""

    needs_key: ClassVar[bool] = False
    """True if every part needs a `key`."""

    in_lake: ClassVar[bool] = False
    """True if it writes only below the lake. Policy `restricted` allows such a target without a connection."""

    text: str
    conn_id: str
    name: str

    @abstractmethod
    def open(self, site: ReleaseSite) -> TargetWriter:
        """
        Return the writer of its rows.

        :param site: The release that is written.
        :raises ConnectionFault: the connection is missing, has another type, or is refused.
        """

    def dataset(self, run: Run, connections: Connections) -> DatasetName:  # noqa: ARG002
        """
        Return its name for OpenLineage. No server is accessed.

        :raises ConnectionFault: the connection is missing, or is refused.
        """
        return name_of_text(self.text)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the target that a text of this scheme names.

        :raises ReleaseError: the text does not have this form.
        """
        words = _words(cls.form)
        parts = text.partition("://")[2].split("/", len(words) - 1)
        values = {**dict.fromkeys(words, ""), **dict(zip(words, parts, strict=False))}
        for word, value in values.items():
            pattern, rule = (WORD, WORD_RULE) if word == _CONNECTION else (cls.name_pattern, cls.name_rule)
            if not pattern.fullmatch(value):
                raise ReleaseError(
                    f"`to` must be `{cls.form}`, got `{text}`",
                    hint=f"`{value}` cannot be the {word}; write {rule}" if value else f"add the {word}: {rule}",
                )
        conn_id = values.pop(_CONNECTION, "")
        return cls(text, conn_id, "".join(values.values()))

    @classmethod
    def parse_beginning(cls, text: str) -> Self | None:
        """Return the target, without its name, of a text that ends in its name; None if it ends before that."""
        conn_id, slash, _ = text.partition("://")[2].partition("/")
        return cls(text, conn_id if _CONNECTION in _words(cls.form) else "", "") if slash else None


class DatabaseTarget(Target):
    """Base of the targets that are a table of a database."""

    # Lower case only: SQLite does not distinguish `Scores` from `scores`, Postgres does. At most 40 characters, so that
    # a name with a suffix fits into the 63 bytes of Postgres.
    name_pattern = re.compile(r"(?!sqlite_|pg_|wall_)[a-z_][a-z0-9_]{0,39}(?<!__releases)(?<!__search)")
    name_rule = (
        "at most 40 lower-case letters, digits and `_`, not beginning with a digit, `sqlite_`, `pg_` or `wall_`, nor "
        "ending in `__releases` or `__search`"
    )

    def dataset(self, run: Run, connections: Connections) -> DatasetName:
        """Return the name of the table in its database."""
        return name_of_table(connections(self.conn_id), self.name, None, run.project)


def _words(form: str) -> list[str]:
    """Return the parts of a form behind the scheme, e.g. `CONN` and `TABLE`."""
    return form.partition("://")[2].split("/")
