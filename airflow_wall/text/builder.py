"""Build documents from the events of a YAML parser, within bounds that hold before any value exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.text.document import Marks, YamlDocument, place_of
from airflow_wall.text.scalars import AmbiguousScalar, parse_plain

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # PyYAML was built without libyaml; its own parser gives the same events, only slower
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that are invisible or change the direction of text, so that a text with them is not what it looks like."""

_CURLY = {
    "\u201c": frozenset("\u201d\u201c"), "\u2018": frozenset("\u2019\u2018"), "\u201d": frozenset("\u201d"),
    "\u201e": frozenset("\u201c\u201d"), "\u2019": frozenset("\u2019"), "\u00ab": frozenset("\u00bb"),
}  # fmt: skip
"""Quotes of text processors to those that close them."""

_DASHED = frozenset(f"-{key}" for key in ("id", "uses", "with", "needs", "tasks", "extends", "name", "uri"))
"""Keys of an item after a dash without its space."""

MAX_DEPTH = 32
MAX_SCALAR = 1 << 16
MAX_NODES = 20_000
MAX_ALIASES = 100
MAX_DOCUMENTS = 100


def hint_on_key(text: str, event: Any) -> str:
    """Return the hint for a list or mapping in place of a key. `event` is an event or node with a `start_mark`."""
    jinja = "{{" in text[max(0, event.start_mark.index - 1) : event.start_mark.index + 2]
    return "put the text with `{{` between quotes" if jinja else "write a plain name as the key"


class _Open:
    """
    A list or mapping whose end has not come yet.

    :param value: The list or dict itself, which is in its parent already.
    :param start: The event that opened it.
    :param first_node: The number of values before it.
    """

    __slots__ = ("first_node", "is_mapping", "key", "loc", "start", "value")

    def __init__(self, value: Any, loc: Loc, start: Any, first_node: int) -> None:
        self.value = value
        self.loc = loc
        self.start = start
        self.first_node = first_node
        self.is_mapping = type(value) is dict
        self.key: str | None = None

    def awaits_key(self) -> bool:
        """Return True if the next event is the key of a mapping."""
        return self.is_mapping and self.key is None


class Builder:
    """
    Builds the documents of one text from libyaml's events.

    Every pipeline goes through here, so the position of a value is computed only if the value has a fault. Until then,
    its event is kept.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.faults: list[Fault] = []
        self.read = self.nodes = 0

    def documents(self) -> Iterator[YamlDocument]:
        """Read every document of the text."""
        events = iter(_Parser(self.text).get_event, None)  # `yaml.parse` checks for each event before it gets it
        for event in events:
            if type(event) is yaml.DocumentStartEvent:
                self.count_document(event)
                yield self.document(event, events)

    def count_document(self, start: Any) -> None:
        """
        Count one more document of the text, which begins with the event `start`.

        :raises FaultyText: there are too many.
        """
        self.read += 1
        if self.read > MAX_DOCUMENTS:
            self._fatal(start, f"more than {MAX_DOCUMENTS} documents", "split the file into several")

    def document(self, start: Any, events: Any) -> YamlDocument:
        """Read one document from the events after its `start`. Faults that leave it readable are part of it."""
        if start.version or start.tags:
            self._fatal(start, "directives (`%YAML`, `%TAG`) are refused", "remove the line")
        self.stack: list[_Open] = []
        self.keys: Marks = {}
        self.values: Marks = {}
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.root: Any = None
        self.aliases = 0
        before = len(self.faults)
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._start(event, {})
            elif kind is yaml.SequenceStartEvent:
                self._start(event, [])
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                break
            else:
                self._end()
        faults = tuple(self.faults[before:])
        return YamlDocument(self.path, self.text, self.root, self.keys, self.values, faults=faults)

    def _scalar(self, event: Any) -> None:
        text = event.value
        if len(text) > MAX_SCALAR or event.tag is not None or not text.isprintable():
            self._inspect(event)
        if event.implicit[0] and not text.isascii():
            self._curly_quotes(event)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.is_mapping and top.key is None:
            loc = (*top.loc, text)
            if text in top.value or text == "<<" or text[:1] == "-":
                self._refuse_key(event, loc, top)
            self.keys.setdefault(loc, event)
            top.key = text
            return
        value: Any = text
        if event.implicit[0]:  # plain: not quoted, not a block
            try:
                value = parse_plain(text)
            except AmbiguousScalar as error:
                self._fault(event, *error.args)
        self._put(value, event, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)

    def _inspect(self, event: Any) -> None:
        """Note the faults of a scalar. It may have none: a text of several lines is not printable either."""
        text = event.value
        if len(text) > MAX_SCALAR:
            message = f"value has {len(text):,} characters; at most {MAX_SCALAR:,} are read"
            self._fatal(event, message, "shorten it, or move it to a file beside the pipeline")
        if event.tag is not None:
            self._fatal(
                event, f"tag `{event.tag}` is refused: tags are not part of the language", "quote the value instead"
            )
        if (hidden := _HIDDEN.search(text)) is not None:
            code = f"U+{ord(hidden.group()):04X}"
            self._fault(event, f"the text holds the character {code}, which cannot be seen", "remove it")

    def _curly_quotes(self, event: Any) -> None:
        """Note the fault of a value between quotes that are not those of YAML, and so part of the text."""
        text = event.value
        closing = _CURLY.get(text[:1])
        if closing is None or (text[-1] not in closing and not closing.isdisjoint(text)):
            return
        inner = text[1:-1] if text[-1] in closing and len(text) > 1 else text[1:]
        quoted = f'"{inner}"' if '"' not in inner else f"'{inner}'"
        message = f"the text begins with the curly quote `{text[0]}`, which YAML reads as a part of it"
        self._fault(event, message, f"write straight quotes: `{brief(quoted)}`")

    def _refuse_key(self, event: Any, loc: Loc, top: _Open) -> None:
        key = event.value
        if key == "<<" and event.implicit[0]:
            self._fault(event, "merge key `<<` is refused", "write the keys out, or share values by `vars`")
        if key in _DASHED and event.implicit[0]:
            if _DASHED.isdisjoint(top.value):  # further ones are the same mistake
                hint = f"put a space behind the dash: `- {key[1:]}: ...`"
                self._fault(event, f"key `{key}` begins with a dash that has no space behind it", hint)
        elif key in top.value:
            line = place_of(self.keys[loc]).line
            self._fault(event, f"key `{key}` is written twice; the first is on line {line}", "remove one of them")

    def _start(self, event: Any, value: Any) -> None:
        if event.tag is not None:
            self._fatal(event, f"tag `{event.tag}` is refused: tags are not part of the language", "remove the tag")
        if len(self.stack) >= MAX_DEPTH:
            self._fatal(event, f"nested deeper than {MAX_DEPTH} levels", "flatten the document")
        if self.stack and self.stack[-1].awaits_key():
            self._fatal(event, "a list or mapping cannot be a key", hint_on_key(self.text, event))
        before = self.nodes
        loc = self._put(value, event, 1)
        self.stack.append(_Open(value, loc, event, before))

    def _end(self) -> None:
        closed = self.stack.pop()
        if closed.start.anchor is not None:
            self.anchors[closed.start.anchor] = (closed.value, self.nodes - closed.first_node)

    def _alias(self, event: Any) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            self._fatal(event, f"more than {MAX_ALIASES} aliases", "share values by `vars` instead")
        if self.stack and self.stack[-1].awaits_key():
            self._fatal(event, f"alias `*{event.anchor}` cannot be a key", "write the name out")
        if event.anchor not in self.anchors:
            self._fatal(
                event, f"alias `*{event.anchor}` names no finished anchor before it", "share values by `vars` instead"
            )
        value, size = self.anchors[event.anchor]
        self._put(value, event, size)

    def _put(self, value: Any, event: Any, size: int) -> Loc:
        """
        Put a value into its list or mapping.

        :param size: The number of values it counts for. An alias counts for all values of its anchor, so that a few
            lines cannot become billions of values.
        :return: The path of the value.
        """
        self.nodes += size
        if self.nodes > MAX_NODES:
            self._fatal(event, f"more than {MAX_NODES:,} values", "split the file into several pipelines")
        loc: Loc = ()
        if not self.stack:
            self.root = value
        else:
            top = self.stack[-1]
            if top.key is None:
                loc = (*top.loc, len(top.value))
                top.value.append(value)
            else:
                loc = (*top.loc, top.key)
                top.value.setdefault(top.key, value)
                top.key = None
        self.values[loc] = event
        return loc

    def _fault(self, event: Any, message: str, hint: str | None) -> None:
        if len(self.faults) >= MAX_FAULTS:
            self._fatal(event, f"more than {MAX_FAULTS} faults", "correct the first ones first")
        self.faults.append(Fault(self.path, place_of(event), message, hint))

    def _fatal(self, event: Any, message: str, hint: str | None) -> NoReturn:
        raise FaultyText([*self.faults, Fault(self.path, place_of(event), message, hint)], self.text)
