"""
Read YAML into plain values with positions, within bounds that hold before any value exists.

libyaml gives a stream of events; one loop over them with a stack of its own builds the values, so neither depth nor
size of a hostile text can exhaust the interpreter, and each key and value has its line and column.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from airflow_wall.text.faults import MAX_FAULTS, Fault, FaultyText, Loc, Place
from airflow_wall.text.scalars import AmbiguousScalar, plain

_HINTED = 500
_UNQUOTED = re.compile(r"(?P<key>[\w$-]+): +(?P<text>[@%*`&!{$][^'\"]*|[^'\"\[{]*: [^'\"]*)$")
"""A value without quotes that YAML takes for something else than text."""

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
"""What stands between quotes."""

_KEY = re.compile(r"(?P<spaces> *)(?P<dash>(?:- +)?)[\w$-]+:(?: +(?P<value>[^#\s].*)|$)")
"""A line that begins a key of a mapping, or of the mapping that is an entry of a list."""

_AFTER_KEY = re.compile(r"""["']?\s*[:#]""")

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that show nothing, or have what follows shown elsewhere: a text with them is not what it looks like."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_SCALAR = 1 << 16
MAX_NODES = 100_000
MAX_ALIASES = 100
MAX_DOCUMENTS = 100
MAX_DIRECTIVES = 10

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # a PyYAML built without libyaml: the same events, slower
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]


Marks = dict[Loc, Any]
"""Where in the document, to the YAML event or node that stands there, whose place `place_of` tells."""


@dataclass(frozen=True)
class Document:
    """
    One YAML document as plain values.

    :param path: The file, as the caller named it.
    :param text: The whole text of the file.
    :param value: dict, list, str, int, float, bool or None, nested.
    :param keys: The mark of each mapping key.
    :param values: The mark of each value.
    :param is_yaml_1_1: Whether it was read as YAML 1.1: values may also be dates, bytes, sets and tuples.
    :param faults: What is wrong with its text that leaves the rest readable, such as a key that is written twice.
    """

    path: Path
    text: str = field(repr=False)
    value: Any
    keys: Marks = field(repr=False)
    values: Marks = field(repr=False)
    is_yaml_1_1: bool = False
    faults: tuple[Fault, ...] = ()

    def place(self, loc: Loc, *, of_key: bool = False) -> Place:
        """Where the value (or its key) at `loc` stands; for what is not in the text, its nearest ancestor."""
        while True:
            for table in (self.keys, self.values) if of_key else (self.values, self.keys):
                if loc in table:
                    return place_of(table[loc])
            if not loc:
                return Place(1, 1)
            # A list item that is not there stands for a single value in its place; a key that is not, for its block.
            loc, of_key = loc[:-1], isinstance(loc[-1], str)


def read_file(path: Path, marked_by: str | None = None) -> list[Document]:
    """
    Read every document of a file.

    :param marked_by: A document with this key at the top is read as YAML 1.1.
    :return: The documents, some perhaps with faults.
    :raises FaultyText: the file cannot be read, is too large, is no YAML, or is YAML that is refused.
    """
    return _documents(_bounded_bytes(path), path, marked_by)


def read_text(content: bytes, path: Path, marked_by: str | None = None) -> list[Document]:
    """
    Read every document of `content`; `path` is its name in messages. `marked_by`: as for `read_file`.

    :raises FaultyText: as for `read_file`, and for every fault of a document.
    """
    documents = _documents(content, path, marked_by)
    faults = [fault for document in documents for fault in document.faults]
    if faults:
        raise FaultyText(faults, documents[0].text)
    return documents


def _documents(content: bytes, path: Path, marked_by: str | None) -> list[Document]:
    if len(content) > MAX_BYTES:
        _refuse(path, "", Place(1, 1), f"file has more than {MAX_BYTES:,} bytes", "split it into several files")
    if content.count(b"\n%") > MAX_DIRECTIVES and b"\n---" in content:  # libyaml compares each with all others
        _refuse(path, "", Place(1, 1), "directives (`%YAML`, `%TAG`) are refused", "remove these lines")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        readable = content.decode("utf-8", errors="replace")
        column = len(content[: error.start].rpartition(b"\n")[2].decode("utf-8", errors="replace")) + 1
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            _refuse(path, "", Place(1, 1), "is UTF-16, not UTF-8", "save the file as UTF-8")
        what = f"byte {error.start}, `0x{content[error.start]:02x}`, is not UTF-8"
        _refuse(path, readable, Place(line, column), what, "save the file as UTF-8")
    try:
        if marked_by is not None and _may_be_key(marked_by, text):
            from airflow_wall.text.yaml_1_1 import marked_documents  # few files need it, and PyYAML's slow half

            return list(marked_documents(path, text, marked_by))
        return list(Builder(path, text).documents())
    except yaml.MarkedYAMLError as error:
        place = _place_of_error(error, text)
        what = f"{error.problem or 'cannot be read'}{f' {error.context}' if error.context else ''}"
        _refuse(path, text, place, f"not YAML: {what}", _syntax_hint(text, place, what))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        _refuse(path, text, place, f"the character U+{code:04X} is not allowed in YAML", "remove it")


def _may_be_key(name: str, text: str) -> bool:
    """Whether `name` may be a key in a text: the editor's comment that names a schema is none."""
    start = text.find(name)
    while start >= 0:
        if _AFTER_KEY.match(text, start + len(name)):
            return True
        start = text.find(name, start + 1)
    return False


def _bounded_bytes(path: Path) -> bytes:
    # O_NONBLOCK and the check of the kind: a FIFO or a device named x.yaml must not hang the reader.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _refuse(path, "", Place(1, 1), f"cannot be opened: {error.strerror}", None)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _refuse(path, "", Place(1, 1), "is not a regular file", None)
        return file.read(MAX_BYTES + 1)


def _place_of_error(error: yaml.MarkedYAMLError, text: str) -> Place:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Place(1, 1)
    opened = error.context_mark
    if opened is not None and opened.line < mark.line and "flow" in (error.context or ""):
        mark = opened  # what is wrong is the bracket that is still open, however many lines later that shows
    lines = text.splitlines()
    if mark.line < len(lines):
        return Place(mark.line + 1, mark.column + 1)
    if opened is not None and opened.line < len(lines):
        return Place(opened.line + 1, opened.column + 1)
    # The end of the text tells nothing; the last line does.
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=1)
    return Place(last, max(1, len(lines[last - 1].rstrip()))) if lines else Place(1, 1)


def _syntax_hint(text: str, place: Place, what: str) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "indent with spaces: YAML allows no tabs"
    if "scanning a quoted scalar" in what and "end of stream" in what:
        return "close the quote that begins here"
    if (depth := _depth_meant(lines, place.line)) is not None:
        return f"begin this line with {depth} space{'' if depth == 1 else 's'}, like those that it belongs to"
    if "invalid Unicode" in what or "unknown escape" in what:
        return "write a `\\` of a text twice, or put the text between single quotes"
    if "{{" in _QUOTED.sub("", line):
        return "put the text with `{{` between quotes"
    if "flow" in what and re.search(r"[\[{,:]\s+#", line[place.column - 1 :]):
        return "put the text that begins with `#` between quotes: without them it is a comment"
    if "flow" in what:
        return "close the `[` or `{` that is open here, or put a `,` between its values"
    value = _UNQUOTED.search(line) if len(line) <= _HINTED else None  # the pattern takes time by the line's square
    if value is not None:
        return f"put the value between quotes: `{value['key']}: '{value['text'].rstrip()}'`"
    return "look at the indentation, brackets and quotes of this line and the one before"


def _depth_meant(lines: list[str], number: int) -> int | None:
    """How many spaces a line should begin with that stands apart from those before it; None where it does not."""
    before = (match for line in reversed(lines[: number - 1]) if (match := _KEY.match(line[:_HINTED])))
    key = _KEY.match(lines[number - 1][:_HINTED]) if number <= len(lines) else None
    if key is None:
        return None
    depth = len(key["spaces"])
    if key["dash"]:
        dashes = (len(each["spaces"]) for each in before if each["dash"])
        return next((each for each in dashes if abs(each - depth) == 1), None)
    above = next(before, None)
    if above is None or above["value"] is None:
        return None
    meant = len(above["spaces"] + above["dash"])
    return meant if 0 < abs(meant - depth) <= 2 else None


def hint_on_key(text: str, event: Any) -> str:
    """How to mend a list or mapping that stands where a key is expected; `event` is whatever has its `start_mark`."""
    jinja = "{{" in text[max(0, event.start_mark.index - 1) : event.start_mark.index + 2]
    return "put the text with `{{` between quotes" if jinja else "write a plain name as the key"


def _refuse(path: Path, text: str, place: Place, message: str, hint: str | None) -> NoReturn:
    raise FaultyText([Fault(path, place, message, hint)], text)


class _Open:
    """
    A list or mapping whose end has not come yet.

    :param value: The list or dict itself, which is in its place already.
    :param start: The event it began with.
    :param first_node: How many values there were before it.
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
        """Whether what comes next is the key of a mapping."""
        return self.is_mapping and self.key is None


class Builder:
    """
    Builds the documents of one text from libyaml's events.

    Every pipeline goes through here, so what a value needs only when it is at fault is left for then: of where it
    stands, its event is kept.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.faults: list[Fault] = []
        self.read = self.nodes = 0

    def documents(self) -> Iterator[Document]:
        """Read every document of the text."""
        events = iter(_Parser(self.text).get_event, None)  # `yaml.parse` asks twice for each
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

    def document(self, start: Any, events: Any) -> Document:
        """Read one document from the events after its `start`; faults that can wait are told with it."""
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
        return Document(self.path, self.text, self.root, self.keys, self.values, faults=faults)

    def _scalar(self, event: Any) -> None:
        text = event.value
        if len(text) > MAX_SCALAR or event.tag is not None or not text.isprintable():
            self._inspect(event)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.is_mapping and top.key is None:
            loc = (*top.loc, text)
            if text in top.value or text == "<<":
                self._refuse_key(event, loc, top)
            self.keys.setdefault(loc, event)
            top.key = text
            return
        value: Any = text
        if event.implicit[0]:  # plain: not quoted, not a block
            try:
                value = plain(text)
            except AmbiguousScalar as error:
                self._fault(event, *error.args)
        self._put(value, event, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)

    def _inspect(self, event: Any) -> None:
        """Note what is wrong with a scalar, if anything is: one of several lines is not printable either."""
        text = event.value
        if len(text) > MAX_SCALAR:
            self._fatal(event, f"value has {len(text):,} characters; at most {MAX_SCALAR:,} are read", None)
        if event.tag is not None:
            self._fatal(
                event, f"tag `{event.tag}` is refused: tags are not part of the language", "quote the value instead"
            )
        if (hidden := _HIDDEN.search(text)) is not None:
            code = f"U+{ord(hidden.group()):04X}"
            self._fault(event, f"the text holds the character {code}, which cannot be seen", "remove it")

    def _refuse_key(self, event: Any, loc: Loc, top: _Open) -> None:
        key = event.value
        if key == "<<" and event.implicit[0]:
            self._fault(event, "merge key `<<` is refused", "write the keys out, or share values by `vars`")
        if key in top.value:
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
        done = self.stack.pop()
        if done.start.anchor is not None:
            self.anchors[done.start.anchor] = (done.value, self.nodes - done.first_node)

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
        """Put a value where it belongs. `size`: an alias counts for all it stands for, so few lines cannot grow."""
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
            self._fatal(event, f"more than {MAX_FAULTS} faults", "mend the first ones first")
        self.faults.append(Fault(self.path, place_of(event), message, hint))

    def _fatal(self, event: Any, message: str, hint: str | None) -> NoReturn:
        raise FaultyText([*self.faults, Fault(self.path, place_of(event), message, hint)], self.text)


def place_of(mark: Any) -> Place:
    """Where an event or a node of YAML stands."""
    start, end = mark.start_mark, mark.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, width))
