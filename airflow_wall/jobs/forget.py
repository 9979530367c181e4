"""
The job `forget`: erase the rows of people from a lake, and from what it has published.

The table that was asked for comes last, because its rows say whose rows to erase. So an erasure that is killed is
completed by the same call.
"""

from __future__ import annotations

import contextlib
import html
import json
import mmap
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_wall import state
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import DataError
from airflow_wall.job import Env
from airflow_wall.jobs.start_sender import releases_of
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.release import Releases
from airflow_wall.row_filter import rows_without
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore
from airflow_wall.storage.contract import Contracts
from airflow_wall.storage.forgotten import Erasure, Forgotten
from airflow_wall.storage.lineage import Lineage
from airflow_wall.text.table_names import REJECTED

ERASED = "[erased]"
"""Text in place of a value in reports and other documents."""

_IN_WORDS = ("error", "reason", "warnings", "checks", "metrics", "segments")
"""Keys of the history whose values are in words."""

_SHORTEST = 4
"""Least number of characters of a text that is erased from documents. Shorter ones are parts of other words."""


def forget(
    env: Env, *, table: str, where: str, by: str, reason: str, also: Sequence[str] | None = None
) -> dict[str, Any]:
    """
    Erase the rows of the people whom a condition on a table selects. Repeated, it completes.

    :param by: The column that identifies them.
    :param also: More tables to search, or patterns.
    :return: `record`, `people`, `tables`, `not_searched` and `left`.
    """
    run = env.run
    eraser = Eraser(run.storage, open_tables(run.storage), releases_of(env))
    return eraser.forget(table, where, by, reason=reason, also=also or ()).to_json()


@dataclass(frozen=True)
class ErasureResult:
    """
    The result of an erasure.

    :param erasure: The record.
    :param people: Number of different values of the column.
    :param not_searched: Related tables without the column, and targets that cannot erase.
    :param left: Files of the lake that still hold a text of these people: files of sources, which are not changed, and
        models that learned from them.
    """

    erasure: Erasure
    people: int
    not_searched: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "record": self.erasure.id,
            "people": self.people,
            "erased": dict(self.erasure.rows),
            "tables": list(self.erasure.tables),
            "not_searched": list(self.not_searched),
            "left": list(self.left),
        }


@dataclass(frozen=True)
class Eraser:
    """
    Erases rows of people in one lake.

    :param lake: The lake, which must be a folder.
    """

    lake: Lake
    tables: TableStore
    releases: Releases
    forgotten: Forgotten = field(init=False)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "forgotten", Forgotten(self.lake))
        object.__setattr__(self, "folder", self.lake.only_folder("to erase people"))

    def forget(self, table: str, where: str, column: str, *, reason: str, also: Sequence[str] = ()) -> ErasureResult:
        """
        Erase the rows of the people whom a condition on a table selects.

        :param where: SQL condition on the table.
        :param column: The column that identifies them, in this and in the related tables.
        :param also: More tables to search, or patterns.
        :raises DataError: the table or the column does not exist, or the condition fails.
        """
        self._check_column(table, column)
        erasure = self.forgotten.begin(table, where, column, reason=reason)
        selected = self.tables.read(table, where=where)
        people = {str(value) for value in selected.column(column).to_pylist() if value is not None}
        related, not_searched = self._related(table, column, also)
        names = {*erasure.tables, *related}
        hashes = {*erasure.hashes, *self.forgotten.hashes(people)}
        erasure = replace(erasure, hashes=tuple(sorted(hashes)), tables=tuple(sorted(names)), done=False)
        if hashes:
            self.forgotten.write(erasure)  # from here on no ingest brings the rows back
        texts = self._texts(table, selected, column)
        rows = dict(erasure.rows)
        if people:
            not_searched += self._erase_releases(column, people, rows)
            _add(rows, "documents", self._redact(texts))
        left = self._left(texts)
        for name in [*(other for other in sorted(names) if other != table and self.tables.exists(other)), table]:
            if people:
                _add(rows, name, self.tables.erase(name, _keeps(column, people), _keeps_bad(texts)))
            self.tables.purge(name)
            if hashes:
                self.forgotten.write(replace(erasure, rows=rows))
        erasure = replace(erasure, rows=rows, done=True)
        if hashes:
            self.forgotten.write(erasure)
        return ErasureResult(erasure, len(people), tuple(not_searched), tuple(left))

    def _erase_releases(self, column: str, people: Collection[str], rows: dict[str, int]) -> list[str]:
        """Erase rows of all kept releases, add their numbers to `rows`, and return the targets that cannot erase."""
        unable = []
        for release in self.releases.names():
            for target, number in self.releases.erase(release, column, people).items():
                if number is None:
                    unable.append(f"target {target}")
                else:
                    _add(rows, target, number)
        return unable

    def _check_column(self, table: str, column: str) -> None:
        columns = self.tables.schema(table).names
        if column not in columns:
            raise DataError(
                f"table `{table}` has no column `{column}`", hint=suggestion(column, columns, what="columns")
            )

    def _related(self, table: str, column: str, also: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the tables to erase from, and those that lack the column."""
        names = {*Lineage(self.lake, self.tables).related(table)}
        names |= {name for pattern in also for name in self.tables.names(pattern)}
        present = sorted(name for name in names if not name.endswith(REJECTED) and self.tables.exists(name))
        searched = [name for name in present if column in self.tables.schema(name).names]
        return searched, [f"table {name}" for name in present if name not in searched]

    def _texts(self, table: str, selected: pa.Table, column: str) -> set[str]:
        """Return the texts by which documents name these people: values of the column and of columns with `pii`."""
        recorded = Contracts(self.lake).read(table)
        about: Mapping[str, Any] = {} if recorded is None else recorded[0].about.get("columns", {})
        columns = {column, *(name for name, facts in about.items() if facts.get("pii"))} & {*selected.column_names}
        values = {str(value) for name in columns for value in selected.column(name).to_pylist() if value is not None}
        return {value for value in values if len(value) >= _SHORTEST}

    def _redact(self, texts: Collection[str]) -> int:
        """Erase texts from the documents of the lake, and return the number of changed documents."""
        pattern = _pattern(texts)
        if pattern is None:
            return 0
        changed = 0
        for path in sorted(
            path for name in ("reports", "history") for path in (self.lake.local_state() / name).rglob("*")
        ):
            if path.suffix in _REDACTED and path.is_file():
                with state.locked(path.with_name("history")) if path.suffix == ".jsonl" else contextlib.nullcontext():
                    before = path.read_text(encoding="utf-8", errors="surrogateescape")
                    after = _REDACTED[path.suffix](before, pattern)
                    if after != before:
                        state.write_bytes(path, after.encode(errors="surrogateescape"))
                        changed += 1
        return changed

    def _left(self, texts: Collection[str]) -> list[str]:
        """Return the files of the lake, other than tables and releases, that still hold one of the texts."""
        needles = [text.encode() for text in texts if not text.isdecimal()]
        left = []
        for path in sorted(self.folder.rglob("*")) if needles else ():
            if path.suffix in _LEFT_OUT or "_delta_log" in path.parts or not path.is_file() or path.is_symlink():
                continue
            if path.stat().st_size and _holds(path, needles):
                left.append(path.relative_to(self.folder).as_posix())
        return left


def _add(rows: dict[str, int], name: str, number: int) -> None:
    if number:
        rows[name] = rows.get(name, 0) + number


def _holds(path: Path, needles: Sequence[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(needle) >= 0 for needle in needles)


def _keeps(column: str, people: Collection[str]) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows_without(rows, column, people)


def _keeps_bad(texts: Collection[str]) -> Callable[[pa.Table], pa.Table]:
    """Return a function that keeps the bad rows in which none of the texts is a word."""
    pattern = _pattern(texts)

    def keep(rows: pa.Table) -> pa.Table:
        if pattern is None or not rows.num_rows:
            return rows
        names = [name for name in ("reason", "value", "raw") if name in rows.column_names]
        columns = [rows.column(name).to_pylist() for name in names]
        mask = [not any(pattern.search(text or "") for text in values) for values in zip(*columns, strict=True)]
        return rows.filter(pa.array(mask, pa.bool_()))

    return keep


def _pattern(texts: Collection[str]) -> re.Pattern[str] | None:
    """Return a pattern of the texts as whole words."""
    if not texts:
        return None
    both = {*texts, *map(html.escape, texts)}  # also as a page shows them
    words = sorted(map(re.escape, both), key=len, reverse=True)
    return re.compile(rf"(?<![\w]){'(?:' + '|'.join(words) + ')'}(?![\w])")


def _redact_json(text: str, pattern: re.Pattern[str]) -> str:
    if not pattern.search(text) and "\\" not in text:
        return text
    try:
        document = json.loads(text)
    except ValueError:
        return text
    after = _redacted(document, pattern)
    return text if after == document else json.dumps(after, indent=1, sort_keys=True, ensure_ascii=False)


def _redact_lines(text: str, pattern: re.Pattern[str]) -> str:
    """Erase texts from the lines of a history: only from facts in words, because other facts are names."""
    lines = []
    for line in text.splitlines():
        try:
            event = json.loads(line) if pattern.search(line) or "\\" in line else None
        except ValueError:
            event = None
        if isinstance(event, dict):
            after = {key: _redacted(item, pattern) if key in _IN_WORDS else item for key, item in event.items()}
            lines.append(line if after == event else json.dumps(after, ensure_ascii=False, separators=(",", ":")))
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _redact_html(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(ERASED, text)


def _redacted(value: Any, pattern: re.Pattern[str]) -> Any:
    """Return a JSON value with the texts erased from its strings and keys."""
    if isinstance(value, str):
        return pattern.sub(ERASED, value)
    if isinstance(value, dict):
        return {_redacted(key, pattern): _redacted(item, pattern) for key, item in value.items()}
    return [_redacted(item, pattern) for item in value] if isinstance(value, list) else value


_REDACTED: dict[str, Callable[[str, re.Pattern[str]], str]] = {
    ".json": _redact_json,
    ".jsonl": _redact_lines,
    ".html": _redact_html,
}
"""Ending of documents -> the function that erases texts from them."""

_LEFT_OUT = (".parquet", ".crc", ".db", ".db-wal", ".db-shm", ".lock")
"""Endings of files that the search for texts leaves out: their rows were erased by their columns."""
