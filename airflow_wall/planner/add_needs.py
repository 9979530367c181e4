"""Write the missing `needs` into a pipeline file in place: comments and format stay as they are."""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.language.document import Item, Spec
from airflow_wall.loader.load import load_spec, pipelines_among, pipelines_in
from airflow_wall.planner.order import ancestors
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import step_into
from airflow_wall.text.reader import read_text
from airflow_wall.text.scalars import AmbiguousScalar, parse_plain

_BLOCK_SCALAR = ("|", ">")
_DASH = re.compile(r"\s*- ")


@dataclass(frozen=True)
class Addition:
    """
    Names to add to the `needs` of a task.

    :param document: Number of its document in the file, from 0.
    :param loc: Path of the task in the document.
    :param faults: The faults that this corrects.
    """

    document: int
    loc: Loc
    names: tuple[str, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Corrected:
    """
    A file with its missing `needs` added.

    :param text: The new text; None if nothing could be added.
    :param added: The additions that are in it.
    :param left: The additions that cannot be made without changing something else.
    """

    text: str | None
    added: tuple[Addition, ...]
    left: tuple[Addition, ...]


class _UnsafeEdit(Exception):
    """Raised when a text cannot be changed at one place without an effect on others."""


def add_needs(path: Path, settings: Settings) -> Corrected:
    """
    Return the text of a file with its missing `needs` added. The file itself is not changed.

    Each addition is verified: apart from the `needs`, the values of the new text are the same, each task waits for all
    tasks that it waited for before, and the file has no new fault in any environment.
    """
    documents = pipelines_in(path)
    additions = [
        addition for number, document in enumerate(documents) for addition in _additions(number, document, settings)
    ]
    if not additions:
        return Corrected(None, (), ())
    text = documents[0].text
    try:
        return Corrected(_edited(text, path, additions, settings), tuple(additions), ())
    except _UnsafeEdit:
        return _one_by_one(text, path, additions, settings)


def _one_by_one(text: str, path: Path, additions: Iterable[Addition], settings: Settings) -> Corrected:
    added, left = [], []
    for addition in additions:
        try:
            text = _edited(text, path, [addition], settings)
            added.append(addition)
        except _UnsafeEdit:
            left.append(addition)
    return Corrected(text if added else None, tuple(added), tuple(left))


def _additions(number: int, document: YamlDocument, settings: Settings) -> Iterator[Addition]:
    try:
        missing = plan(load_spec(document, settings), settings).missing_needs
    except FaultyText:
        return  # its faults come first
    names: dict[Loc, dict[str, None]] = defaultdict(dict)
    faults: dict[Loc, list[Fault]] = defaultdict(list)
    for each in missing:
        if each.names:
            names[each.loc].update(dict.fromkeys(each.names))
            faults[each.loc].append(each.fault)
    for loc in names:
        yield Addition(number, loc, tuple(names[loc]), tuple(faults[loc]))


def _edited(text: str, path: Path, additions: Sequence[Addition], settings: Settings) -> str:
    """
    Return the text with the additions.

    :raises _UnsafeEdit: a position is not in the text, or something else would change.
    """
    before = _documents(text, path)
    expected = [copy.deepcopy(document.value) for document in before]
    edits = []
    for addition in additions:
        spec = load_spec(before[addition.document], settings)
        needs, edit = _edit(spec, addition)
        edits.append(edit)
        _item_at(expected[addition.document], addition.loc)["needs"] = [*needs, *addition.names]
    changed = text
    for start, end, inserted in sorted(edits, reverse=True):
        changed = changed[:start] + inserted + changed[end:]
    after = _documents(changed, path)
    if [_with_lists(document.value, number, additions) for number, document in enumerate(after)] != expected:
        raise _UnsafeEdit
    for old, new in zip(before, after, strict=True):
        _verify_order(old, new, settings)
    return changed


def _with_lists(value: Any, number: int, additions: Iterable[Addition]) -> Any:
    """Return the value of a document with the added `needs` as lists, also if they are a single name."""
    value = copy.deepcopy(value)
    for addition in additions:
        if addition.document == number:
            item = _item_at(value, addition.loc)
            item["needs"] = [item["needs"]] if isinstance(item.get("needs"), str) else item.get("needs")
    return value


def _documents(text: str, path: Path) -> list[YamlDocument]:
    try:
        return pipelines_among(read_text(text.encode(), path))
    except FaultyText as error:
        raise _UnsafeEdit from error


def _verify_order(old: YamlDocument, new: YamlDocument, settings: Settings) -> None:
    """
    Verify that every task waits for all tasks that it waited for before, in each environment.

    :raises _UnsafeEdit: a task does not, or the new document has a fault.
    """
    environments = old.value.get("environments")
    for name in (settings.environment, *(environments if isinstance(environments, dict) else ())):
        chosen = replace(settings, environment=name)
        try:
            before = plan(load_spec(old, chosen), chosen)
        except FaultyText:
            continue
        try:
            after = plan(load_spec(new, chosen), chosen)
        except FaultyText as error:
            raise _UnsafeEdit from error
        bits = {task.task_id: 1 << place for place, task in enumerate(before.tasks)}
        earlier, later = (
            ancestors({task.task_id: task.upstream for task in planned.tasks}, bits) for planned in (before, after)
        )
        if any(others & ~later[task_id] for task_id, others in earlier.items()):
            raise _UnsafeEdit
        if len(after.missing_needs) > len(before.missing_needs):
            raise _UnsafeEdit


# --- one edit of the text


def _edit(spec: Spec, addition: Addition) -> tuple[list[str], tuple[int, int, str]]:
    """Return the names that a task has in its `needs`, and the start, end and replacement of a part of the text."""
    document, loc = spec.document, addition.loc
    if spec.places.source(loc) is not document or spec.places.origin(loc) != loc:
        raise _UnsafeEdit  # written in an included file or by an expression
    if any(getattr(document.values.get(loc[:end]), "anchor", None) for end in range(len(loc) + 1)):
        raise _UnsafeEdit  # an alias repeats it
    item = _item_at(document.value, loc)
    if item.get("needs") is not None:
        needs = [item["needs"]] if isinstance(item["needs"], str) else list(item["needs"])
        return needs, _appended(document, (*loc, "needs"), addition.names)
    if "needs" in item:
        raise _UnsafeEdit  # null on purpose: it replaces the `needs` of a template
    inherited = {tuple(item.block.needs) for item in _items(spec.items) if item.loc == loc}
    if len(inherited) != 1:
        raise _UnsafeEdit  # by an expression of a template, each repetition of the task has its own
    needs = list(inherited.pop())
    return needs, _inserted(document, loc, [*needs, *addition.names])


def _appended(document: YamlDocument, loc: Loc, names: Sequence[str]) -> tuple[int, int, str]:
    """Return the edit that adds names to a `needs` that is written."""
    event = document.values.get(loc)
    text = document.text
    if isinstance(event, yaml.ScalarEvent) and event.style not in _BLOCK_SCALAR:
        start, end = _span(event)
        return start, end, f"[{text[start:end]}, {_flow(names)}]"
    if not isinstance(event, yaml.SequenceStartEvent) or event.anchor is not None:
        raise _UnsafeEdit
    count = len(_item_at(document.value, loc[:-1])["needs"])
    if not count:
        start, _ = _span(event)
        return start + 1, start + 1, _flow(names)
    last: Any = document.values[*loc, count - 1]
    if getattr(last, "style", None) in _BLOCK_SCALAR:
        raise _UnsafeEdit
    if event.flow_style:
        return last.end_mark.index, last.end_mark.index, f", {_flow(names)}"
    begin = text.rfind("\n", 0, last.start_mark.index) + 1
    if (dash := _DASH.match(text[begin : last.start_mark.index])) is None:
        raise _UnsafeEdit
    return _new_lines(text, last, [f"{dash.group()}{_plain(name)}" for name in names])


def _inserted(document: YamlDocument, loc: Loc, names: Sequence[str]) -> tuple[int, int, str]:
    """Return the edit that writes `needs` into a task that has none, after its `uses` or its `id`."""
    event: Any
    name: Any
    for key in ("uses", "id"):
        event, name = document.values.get((*loc, key)), document.keys.get((*loc, key))
        if isinstance(event, yaml.ScalarEvent) and event.style not in _BLOCK_SCALAR and name is not None:
            break
    else:
        raise _UnsafeEdit
    item = document.values[loc]
    if not isinstance(item, yaml.MappingStartEvent):
        raise _UnsafeEdit
    needs = _plain(names[0]) if len(names) == 1 else f"[{_flow(names)}]"
    if item.flow_style:
        _, end = _span(event)
        if document.text[name.start_mark.index] == '"':  # as in JSON
            return end, end, f', "needs": {json.dumps(list(names))}'
        return end, end, f", needs: {needs}"
    return _new_lines(document.text, event, [f"{' ' * name.start_mark.column}needs: {needs}"])


def _span(event: Any) -> tuple[int, int]:
    """Return the start and the end of a value in its text."""
    return event.start_mark.index, event.end_mark.index


def _new_lines(text: str, event: Any, lines: Sequence[str]) -> tuple[int, int, str]:
    """Return the edit that puts lines after the line on which a value ends."""
    end = text.find("\n", event.end_mark.index)
    ending = "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
    if end < 0:
        return len(text), len(text), "".join(f"{ending}{line}" for line in lines)
    return end + 1, end + 1, "".join(f"{line}{ending}" for line in lines)


def _flow(names: Iterable[str]) -> str:
    return ", ".join(map(_plain, names))


def _plain(name: str) -> str:
    """Return a name as YAML, in quotes if it would be read as anything else than text."""
    try:
        return name if parse_plain(name) == name else json.dumps(name)
    except AmbiguousScalar:
        return json.dumps(name)


def _item_at(value: Any, loc: Loc) -> dict[str, Any]:
    for part in loc:
        value = step_into(value, part)
    if not isinstance(value, dict):
        raise _UnsafeEdit
    return value


def _items(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _items(item.items)
