"""Rewrite old spellings in the text of a pipeline: paths and bare names of operators, and keys of Airflow 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import FaultyText, Loc, SourcePosition, lines_of
from airflow_wall.language.operators import MOVED, WORDS, present_path
from airflow_wall.language.step_registry import STEPS
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.reader import read_text

_PIPELINE = {
    "schedule_interval": "schedule",
    "concurrency": "max_active_tasks",
    "dag_concurrency": "max_active_tasks",
    "is_paused": "is_paused_upon_creation",
    "tz": "timezone",
}
_TASK = {
    "task_id": "id",
    "operator": "uses",
    "dependencies": "needs",
    "depends_on": "needs",
    "task_concurrency": "max_active_tis_per_dag",
    "xcom_push": "do_xcom_push",
}
"""Old key to the new one. Both take the same values."""


@dataclass(frozen=True)
class Respelling:
    """
    One change of a text.

    :param place: The position of the old spelling, without quotes.
    """

    place: SourcePosition
    old: str
    new: str


def respelled(text: str, path: Path) -> tuple[str, list[Respelling]]:
    """
    Return a text with new spellings, and its changes. Comments, quotes and the order of keys stay.

    :raises FaultyText: it is not YAML.
    """
    documents = read_text(text.encode(), path)
    changes = [change for document in documents for change in _changes(document) if _fits(text, change)]
    lines = text.splitlines(keepends=True)
    for change in sorted(changes, key=lambda change: change.place, reverse=True):
        row, column = change.place.line - 1, change.place.column - 1
        line = lines[row]
        lines[row] = f"{line[:column]}{change.new}{line[column + len(change.old) :]}"
    result = "".join(lines)
    try:
        read_text(result.encode(), path)
    except FaultyText:  # e.g. the new key is there already
        return text, []
    return result, changes


def _fits(text: str, change: Respelling) -> bool:
    """Return True if the text has the old spelling at its place, on one line and without escapes."""
    lines = lines_of(text)
    start = change.place.column - 1
    return change.place.line <= len(lines) and lines[change.place.line - 1][start:].startswith(change.old)


def _changes(document: YamlDocument) -> Iterator[Respelling]:
    value = document.value
    if not isinstance(value, dict) or "dag_id" not in value:
        return
    yield from _keys(document, value, (), _PIPELINE)
    yield from _items(document, value.get("tasks"), ("tasks",))
    templates = value.get("templates")
    for name, template in templates.items() if isinstance(templates, dict) else ():
        yield from _task(document, template, ("templates", name))


def _items(document: YamlDocument, items: Any, loc: Loc) -> Iterator[Respelling]:
    for index, item in enumerate(items if isinstance(items, list) else ()):
        at = (*loc, index)
        if isinstance(item, dict) and "tasks" in item:
            yield from _items(document, item["tasks"], (*at, "tasks"))
        else:
            yield from _task(document, item, at)


def _task(document: YamlDocument, task: Any, loc: Loc) -> Iterator[Respelling]:
    if not isinstance(task, dict):
        return
    yield from _keys(document, task, loc, _TASK)
    for key in ("uses", "operator"):
        uses = task.get(key)
        if isinstance(uses, str) and (path := _path(uses)) is not None:
            yield _change(document, (*loc, key), uses, path, of_key=False)


def _path(uses: str) -> str | None:
    """Return the present path of an operator with an old path, a bare name or a word; None for other operators."""
    if uses in STEPS:
        return None
    if "." in uses:
        return present_path(uses) if uses.startswith(MOVED) else None
    return WORDS.get(uses) or present_path(uses)


def _keys(document: YamlDocument, block: dict[str, Any], loc: Loc, names: dict[str, str]) -> Iterator[Respelling]:
    for old, new in names.items():
        if old in block and new not in block:
            yield _change(document, (*loc, old), old, new, of_key=True)


def _change(document: YamlDocument, loc: Loc, old: str, new: str, *, of_key: bool) -> Respelling:
    place = document.place(loc, of_key=of_key)
    is_quoted = place.width == len(old) + 2
    return Respelling(SourcePosition(place.line, place.column + is_quoted, len(old)), old, new)
