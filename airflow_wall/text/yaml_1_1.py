"""
Read YAML 1.1 with its standard tags and merge keys, for documents that follow the rules of another program.

The bounds of the reader apply: the events of a document become nodes, which are counted before any value is built.
PyYAML's own rules for scalars and merge keys then build the values, so that they equal those of every reader built on
PyYAML. The scanner is PyYAML's too, because libyaml accepts some texts that PyYAML refuses.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

from airflow_wall.diagnostics.faults import MAX_FAULTS, Fault, FaultyText, Loc, SourcePosition
from airflow_wall.diagnostics.printable import brief
from airflow_wall.text.builder import MAX_ALIASES, MAX_DEPTH, MAX_NODES, Builder, hint_on_key
from airflow_wall.text.document import Marks, YamlDocument, place_of

MAX_DIGITS = 4_000
"""The most digits of a number. Python itself reads at most 4,300."""

MAX_CHARACTERS = 1 << 15
"""The most characters of a text. PyYAML's scanner is slow: a longer text would block a DAG processor for seconds."""

_STANDARD = "tag:yaml.org,2002:"
_NUMBERS = (f"{_STANDARD}int", f"{_STANDARD}float")
_MERGE = f"{_STANDARD}merge"
_ONLY_KEYS = {
    _MERGE: "`<<` merges mappings and cannot be a value",
    f"{_STANDARD}value": "`=` stands for the default of a mapping in YAML 1.1 and cannot be a value",
}


def marked_documents(path: Path, text: str, mark: str) -> Iterator[YamlDocument]:
    """Read every document of a text: those with the key `mark` at the top as YAML 1.1, the others as usual."""
    if len(text) > MAX_CHARACTERS:
        message = f"file with `{mark}` in it has more than {MAX_CHARACTERS:,} characters"
        raise FaultyText([Fault(path, SourcePosition(1, 1), message, "split it into several files")], text)
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    others = Builder(path, text)
    composer = _Composer(path, text)
    for event in events:
        if type(event) is yaml.DocumentStartEvent:
            others.count_document(event)
            head, is_marked = _read_until(events, mark)
            whole = itertools.chain(head, events)
            yield composer.document(whole) if is_marked else others.document(event, whole)
    if composer.faults:
        raise FaultyText([*composer.faults, *others.faults], text)


def _read_until(events: Any, mark: str) -> tuple[list[Any], bool]:
    """Return the events of a document up to its key `mark`, and True if it has that key at the top."""
    head: list[Any] = []
    depth = parts = 0
    for event in events:
        head.append(event)
        kind = type(event)
        if kind is yaml.DocumentEndEvent or len(head) > 3 * MAX_NODES:
            break
        if depth == 1:
            parts += kind not in (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        if kind is yaml.ScalarEvent and depth == 1 and parts % 2 == 1 and event.value == mark:
            return head, type(head[0]) is yaml.MappingStartEvent
        if kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            depth += 1
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            depth -= 1
    return head, False


@dataclass(slots=True)
class _OpenNode:
    """A list or mapping whose end event has not come yet."""

    node: Node
    anchor: str | None
    first_node: int
    key: Node | None = None
    height: int = 1


class _Composer:
    """Builds the nodes of documents from events, and values from the nodes."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.faults: list[Fault] = []
        self.resolver = Resolver()
        self.nodes = 0

    def document(self, events: Any) -> YamlDocument:
        """Read one document, whose start has been read."""
        self.stack: list[_OpenNode] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.root: Node | None = None
        self.aliases = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._start(event, MappingNode)
            elif kind is yaml.SequenceStartEvent:
                self._start(event, SequenceNode)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                break
            else:
                self._end()
        constructor = _Constructor(self)
        value = constructor.construct_document(self.root)
        keys: Marks = {}
        values: Marks = {}
        constructor.note_places(self.root, value, (), keys, values)
        return YamlDocument(self.path, self.text, value, keys, values, is_yaml_1_1=True)

    def _scalar(self, event: Any) -> None:
        tag = self._tag(event, ScalarNode)
        is_key = bool(self.stack) and type(self.stack[-1].node) is MappingNode and self.stack[-1].key is None
        if tag in _ONLY_KEYS and not (is_key and tag == _MERGE):
            self._fatal(event, _ONLY_KEYS[tag], "quote it to mean the text")
        if tag in _NUMBERS and len(event.value) > MAX_DIGITS:
            self._fatal(event, f"number has more than {MAX_DIGITS:,} digits", "quote it to mean the text")
        self._add(ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style), event)

    def _start(self, event: Any, kind: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._fatal(event, f"nested deeper than {MAX_DEPTH} levels", "flatten the document")
        node = kind(self._tag(event, kind), [], event.start_mark, event.end_mark)
        self._new_anchor(event)
        self.stack.append(_OpenNode(node, event.anchor, self.nodes))
        self._count(event, 1)

    def _end(self) -> None:
        closed = self.stack.pop()
        if closed.anchor is not None:
            self.anchors[closed.anchor] = (closed.node, self.nodes - closed.first_node, closed.height)
        self._attach(closed.node, closed.height)

    def _alias(self, event: Any) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            self._fatal(event, f"more than {MAX_ALIASES} aliases", "write the values out")
        if event.anchor not in self.anchors:
            message = f"alias `*{event.anchor}` names no finished anchor before it"
            self._fatal(event, message, "put the anchor before it")
        node, size, height = self.anchors[event.anchor]
        if len(self.stack) + height > MAX_DEPTH:
            self._fatal(event, f"nested deeper than {MAX_DEPTH} levels", "flatten the document")
        self._count(event, size)
        self._attach(node, height)

    def _add(self, node: Node, event: Any) -> None:
        self._count(event, 1)
        if event.anchor is not None:
            self._new_anchor(event)
            self.anchors[event.anchor] = (node, 1, 0)
        self._attach(node, 0)

    def _attach(self, node: Node, height: int) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        top.height = max(top.height, height + 1)
        if type(top.node) is SequenceNode:
            top.node.value.append(node)
        elif top.key is None:
            top.key = node
        else:
            top.node.value.append((top.key, node))
            top.key = None

    def _new_anchor(self, event: Any) -> None:
        if event.anchor is not None and event.anchor in self.anchors:
            self._fatal(event, f"anchor `&{event.anchor}` is set twice in a document", "give it another name")

    def _tag(self, event: Any, kind: type[Node]) -> str:
        if event.tag is None or event.tag == "!":
            value = event.value if kind is ScalarNode else None
            return str(self.resolver.resolve(kind, value, event.implicit))  # type: ignore[no-untyped-call]
        if event.tag not in SafeConstructor.yaml_constructors and event.tag not in _ONLY_KEYS:
            hint = "only YAML's own tags are read, such as `!!str` or `!!timestamp`"
            self._fatal(event, f"tag `{event.tag}` is refused", hint)
        return str(event.tag)

    def _count(self, event: Any, size: int) -> None:
        # An alias counts for all values of its anchor, so that a few lines cannot become billions of values.
        self.nodes += size
        if self.nodes > MAX_NODES:
            self._fatal(event, f"more than {MAX_NODES:,} values", "split the file into several pipelines")

    def fault(self, node: Node, message: str, hint: str | None) -> None:
        """Note a fault of a node."""
        self.faults.append(Fault(self.path, place_of(node), message, hint))
        if len(self.faults) > MAX_FAULTS:
            raise FaultyText(self.faults, self.text)

    def _fatal(self, event: Any, message: str, hint: str | None) -> NoReturn:
        raise FaultyText([*self.faults, Fault(self.path, place_of(event), message, hint)], self.text)


class _Constructor(SafeConstructor):
    """Builds values from nodes. Notes a key that is written twice, and a scalar that does not fit its tag."""

    def __init__(self, composer: _Composer) -> None:
        super().__init__()
        self.composer = composer
        self.pairs: dict[Node, list[tuple[Any, Node, Node]]] = {}

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if not isinstance(node, ScalarNode):
                raise
            kind = node.tag.removeprefix(_STANDARD)
            reason = "" if isinstance(error, LookupError | AttributeError) else f": {error}"
            self.composer.fault(
                node, f"`{brief(node.value)}` is not a valid {kind}{reason}", "quote it to mean the text"
            )
            del self.recursive_objects[node]
            self.constructed_objects[node] = None
            return None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, Node] = {}
        for key_node, _ in node.value if isinstance(node, MappingNode) else ():
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                self.composer.fault(
                    key_node, "a list or mapping cannot be a key", hint_on_key(self.composer.text, key_node)
                )
                raise FaultyText(self.composer.faults, self.composer.text)
            if key in seen:
                line = place_of(seen[key]).line
                message = f"key `{brief(key)}` is written twice; the first is on line {line}"
                self.composer.fault(key_node, message, "remove one of them")
            seen.setdefault(key, key_node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        self.pairs[node] = [(self.construct_object(key), key, value) for key, value in node.value]
        return mapping

    def note_places(self, node: Any, value: Any, loc: Loc, keys: Marks, values: Marks) -> None:
        """Note the nodes of `value` and of all values in it. A merged key has the node that it was merged from."""
        if node is None:
            return
        values[loc] = node
        if isinstance(value, dict) and node in self.pairs:
            written = {key: (key_node, value_node) for key, key_node, value_node in self.pairs[node]}
            for key, (key_node, value_node) in written.items():
                part = key if type(key) in (str, int) else str(key)
                keys[(*loc, part)] = key_node
                self.note_places(value_node, value[key], (*loc, part), keys, values)
        elif isinstance(value, list) and isinstance(node, SequenceNode) and len(value) == len(node.value):
            for index, (child, item) in enumerate(zip(node.value, value, strict=True)):
                self.note_places(child, item, (*loc, index), keys, values)
