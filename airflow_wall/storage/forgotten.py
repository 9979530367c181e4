"""
The people whose rows were erased, so that their rows stay erased when a source is read again.

::

    _wall/forgotten/salt.json        the salt of all hashes of this lake
    _wall/forgotten/<record>.json    one erasure: time, reason, table, column, hashes, and counts of what was erased

A record has no personal data: a value is its HMAC-SHA-256 with the salt. Whoever has the salt can test a guess, so keep
the folder as private as the tables.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_wall.lake.documents import change
from airflow_wall.lake.lake import Lake

if TYPE_CHECKING:
    from airflow_wall.storage.staging import Staging

D = TypeVar("D", bound=Any)

_SALT = "salt.json"
_WORDS = re.compile(r"[^\s,;|\"']+")


@dataclass(frozen=True)
class Erasure:
    """
    The record of one erasure.

    :param id: Digest of what was asked for, so that a repeated command continues the same erasure.
    :param at: ISO 8601 time in UTC at which it began.
    :param column: The column that identifies the people.
    :param hashes: The hashes of their values.
    :param tables: The tables whose rows were erased. Rows of their sources with these values are left out.
    :param rows: Number of erased rows by table, and by target of a release.
    :param done: False until everything is erased.
    """

    id: str
    at: str
    reason: str
    table: str
    column: str
    hashes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    done: bool = False


class Forgotten:
    """
    The erasures of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._documents = lake.documents("forgotten")
        self._key = b""

    def all(self) -> list[Erasure]:
        """Return the erasures in the order of time."""
        read = (self._documents.read(key) for key in self._documents.below() if key != _SALT)
        erasures = [_erasure(document[0]) for document in read if document is not None]
        return sorted(erasures, key=lambda erasure: (erasure.at, erasure.id))

    def begin(self, table: str, where: str, column: str, *, reason: str) -> Erasure:
        """Return the erasure of these arguments: a new one, or the one that an earlier call has begun."""
        key = self._hash(f"{table}\0{where}\0{column}")[:16]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return next((one for one in self.all() if one.id == key), None) or Erasure(key, now, reason, table, column)

    def write(self, erasure: Erasure) -> None:
        """Store the record."""
        change(self._documents, f"{erasure.id}.json", lambda _: asdict(erasure))

    def hashes(self, values: Iterable[Any]) -> tuple[str, ...]:
        """Return the sorted hashes of values."""
        return tuple(sorted({self._hash(str(value)) for value in values}))

    def without(self, table: str, delivery: D, staging: Staging) -> D:
        """
        Return a delivery for a table without the rows of people who were erased from it.

        :param delivery: A dataclass with `staged`, and `rejected` with `raw` and `value` of each bad row.
        :param staging: The staging of its rows.
        """
        by_column: dict[str, set[str]] = {}
        for erasure in self.all():
            if table in erasure.tables:
                by_column.setdefault(erasure.column, set()).update(erasure.hashes)
        if not by_column:
            return delivery
        staged = delivery.staged
        for column, hashes in by_column.items():
            if column in staged.schema.names:
                values = staged.values(column)
                staged = staging.leave_out(column, values.filter([self._is(one, hashes) for one in values.to_pylist()]))
        every: Collection[str] = set().union(*by_column.values())
        kept = [
            bad
            for bad in delivery.rejected
            if not any(self._is(word, every) for text in (bad.raw, bad.value) for word in _WORDS.findall(text or ""))
        ]
        left: D = dataclasses.replace(delivery, staged=staged, rejected=tuple(kept))
        return left

    def _is(self, value: Any, hashes: Collection[str]) -> bool:
        return self._hash(str(value)) in hashes

    def _hash(self, text: str) -> str:
        return hmac.new(self._salt(), text.encode(), hashlib.sha256).hexdigest()

    def _salt(self) -> bytes:
        if self._key:
            return self._key
        read = self._documents.read(_SALT)
        if read is None:
            self._documents.create(_SALT, {"salt": secrets.token_hex(32)})
            read = self._documents.read(_SALT)
            assert read is not None
        self._key = bytes.fromhex(read[0]["salt"])
        return self._key


def _erasure(document: Mapping[str, Any]) -> Erasure:
    names = [item.name for item in dataclasses.fields(Erasure)]
    values = {name: document[name] for name in names}
    return Erasure(**{**values, "hashes": tuple(values["hashes"]), "tables": tuple(values["tables"])})
