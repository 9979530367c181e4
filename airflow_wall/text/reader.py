"""
Read YAML into plain values with positions, within bounds that hold before any value exists.

libyaml gives a stream of events. One loop over them, with its own stack, builds the values. So neither the depth nor
the size of a hostile text can exhaust the interpreter, and each key and value has its line and column.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path
from typing import NoReturn

import yaml

from airflow_wall.diagnostics.faults import Fault, FaultyText, SourcePosition
from airflow_wall.text.builder import Builder
from airflow_wall.text.document import YamlDocument

_HINTED = 160
"""The most characters of a line that the patterns for hints are matched against."""

_UNQUOTED = re.compile(r"(?P<key>[\w$-]+): +(?P<text>[@%*`&!{$][^'\"]*|[^'\"\[{]*: [^'\"]*)$")
"""A value without quotes that YAML does not read as text."""

_WITH_COLON = re.compile(r"(?P<spaces> *)(?:- )?(?P<key>[\w$-]+): +(?P<text>[^\s'\"\[{|>#].*: .*)")
"""A value without quotes that has a colon and a space in it."""

_NO_SPACE = re.compile(r" *(?:- )?(?P<key>[\w$-]+):(?P<text>[^\s/].*)")
"""A key without a space behind its colon."""

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
"""A text in quotes, with the quotes."""

_KEY = re.compile(r"(?P<spaces> *)(?P<dash>(?:- +)?)[\w$-]+:(?: +(?P<value>[^#\s].*)|$)")
"""A line that begins with a key of a mapping, or of a mapping in a list."""

_AFTER_KEY = re.compile(r"""["']?\s*[:#]""")

MAX_BYTES = 1 << 18
MAX_DIRECTIVES = 10

_TOO_DEEP = "exceeded maximum nesting depth"
"""The message of libyaml for more than 1,000 levels, from PyYAML 6.0.4 on."""


def read_file(path: Path, marked_by: str | None = None) -> list[YamlDocument]:
    """
    Read every document of a file.

    :param marked_by: A document with this key at the top is read as YAML 1.1.
    :return: The documents. Some may have faults.
    :raises FaultyText: the file cannot be read, is too large, is not YAML, or is YAML that is refused.
    """
    return _documents(bounded_bytes(path), path, marked_by)


def read_text(content: bytes, path: Path, marked_by: str | None = None) -> list[YamlDocument]:
    """
    Read every document of `content`.

    :param path: The name of the content in messages.
    :param marked_by: As for `read_file`.
    :raises FaultyText: as for `read_file`, and for every fault of a document.
    """
    documents = _documents(content, path, marked_by)
    faults = [fault for document in documents for fault in document.faults]
    if faults:
        raise FaultyText(faults, documents[0].text)
    return documents


def _documents(content: bytes, path: Path, marked_by: str | None) -> list[YamlDocument]:
    if len(content) > MAX_BYTES:
        _refuse(
            path, "", SourcePosition(1, 1), f"file has more than {MAX_BYTES:,} bytes", "split it into several files"
        )
    if content.count(b"\n%") > MAX_DIRECTIVES and b"\n---" in content:  # libyaml compares each with all others
        _refuse(path, "", SourcePosition(1, 1), "directives (`%YAML`, `%TAG`) are refused", "remove these lines")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        readable = content.decode("utf-8", errors="replace")
        column = len(content[: error.start].rpartition(b"\n")[2].decode("utf-8", errors="replace")) + 1
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            _refuse(path, "", SourcePosition(1, 1), "is UTF-16, not UTF-8", "save the file as UTF-8")
        message = f"byte {error.start}, `0x{content[error.start]:02x}`, is not UTF-8"
        _refuse(path, readable, SourcePosition(line, column), message, "save the file as UTF-8")
    try:
        return _parsed(path, text, marked_by)
    except yaml.MarkedYAMLError as error:
        place = _place_of_error(error, text)
        problem = f"{error.problem or 'cannot be read'}{f' {error.context}' if error.context else ''}"
        _refuse(path, text, place, f"not YAML: {problem}", _syntax_hint(text, place, problem))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = SourcePosition(before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        _refuse(path, text, place, f"the character U+{code:04X} is not allowed in YAML", "remove it")


def _parsed(path: Path, text: str, marked_by: str | None) -> list[YamlDocument]:
    try:
        return _built(path, text, marked_by)
    except yaml.MarkedYAMLError as error:
        if error.problem != _TOO_DEEP or error.problem_mark is None:
            raise
        # libyaml looks ahead for a key, and reaches its limit before the first event. The text before that place is as
        # deep as libyaml allows, so reading it ends at MAX_DEPTH and reports the same place with any libyaml.
        return _built(path, text[: error.problem_mark.index], marked_by)


def _built(path: Path, text: str, marked_by: str | None) -> list[YamlDocument]:
    if marked_by is not None and _may_be_key(marked_by, text):
        from airflow_wall.text.yaml_1_1 import marked_documents  # few files need it, and it is slow to import

        return list(marked_documents(path, text, marked_by))
    return list(Builder(path, text).documents())


def _may_be_key(name: str, text: str) -> bool:
    """Return True if `name` may be a key in a text, and not only part of an editor's comment that names a schema."""
    start = text.find(name)
    while start >= 0:
        if _AFTER_KEY.match(text, start + len(name)):
            return True
        start = text.find(name, start + 1)
    return False


def bounded_bytes(path: Path) -> bytes:
    """
    Return the bytes of a regular file, at most `MAX_BYTES` and one more.

    :raises FaultyText: the file cannot be read.
    """
    # O_NONBLOCK, and the check that it is a regular file: a FIFO or a device named x.yaml must not block the reader.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _refuse(path, "", SourcePosition(1, 1), f"cannot be opened: {error.strerror}", None)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        _refuse(path, "", SourcePosition(1, 1), "is not a regular file", "name a file of YAML, or a folder of them")
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(MAX_BYTES + 1)
        except OSError as error:
            _refuse(path, "", SourcePosition(1, 1), f"cannot be read: {error.strerror}", None)


def _place_of_error(error: yaml.MarkedYAMLError, text: str) -> SourcePosition:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return SourcePosition(1, 1)
    opened = error.context_mark
    if opened is not None and opened.line < mark.line and "flow" in (error.context or ""):
        mark = opened  # the fault is the bracket that is still open, which the parser notices many lines later
    lines = text.splitlines()
    if opened is not None and opened.line < mark.line and "simple key" in (error.context or ""):
        line = lines[opened.line]
        if _NO_SPACE.match(line[:_HINTED]) is not None:
            return SourcePosition(opened.line + 1, line.index(":") + 1)
    if mark.line < len(lines):
        return SourcePosition(mark.line + 1, mark.column + 1)
    if opened is not None and opened.line < len(lines):
        return SourcePosition(opened.line + 1, opened.column + 1)
    # The error is at the end of the text; the last line with content is of more use.
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=1)
    return SourcePosition(last, max(1, len(lines[last - 1].rstrip()))) if lines else SourcePosition(1, 1)


def _hint_of_colon(line: str, problem: str) -> str | None:
    """Return the hint for a colon without a space, or with a space in a value without quotes; None for other faults."""
    if "simple key" in problem and (match := _NO_SPACE.match(line[:_HINTED])) is not None:
        return f"put a space behind the colon: `{match['key']}: {match['text']}`"
    match = _WITH_COLON.fullmatch(line) if "mapping values" in problem and len(line) <= _HINTED else None
    if match is None:
        return None
    if "'" not in match["text"]:
        return f"put the value between quotes: `{match['key']}: '{match['text'].rstrip()}'`"
    return f"write `{match['key']}: |`, and the text on the next line, with more spaces before it"


def _syntax_hint(text: str, place: SourcePosition, problem: str) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        return "indent with spaces: YAML allows no tabs"
    if (hint := _hint_of_colon(line, problem)) is not None:
        return hint
    if "scanning a quoted scalar" in problem and "end of stream" in problem:
        return "close the quote that begins here"
    if (depth := _likely_indent(lines, place.line)) is not None:
        return f"begin this line with {depth} space{'' if depth == 1 else 's'}, like those that it belongs to"
    if "invalid Unicode" in problem or "unknown escape" in problem:
        return "write a `\\` of a text twice, or put the text between single quotes"
    if "{{" in _QUOTED.sub("", line):
        return "put the text with `{{` between quotes"
    if "flow" in problem and re.search(r"[\[{,:]\s+#", line[place.column - 1 :]):
        return "put the text that begins with `#` between quotes: without them it is a comment"
    if "flow" in problem:
        return "close the `[` or `{` that is open here, or put a `,` between its values"
    value = _UNQUOTED.search(line) if len(line) <= _HINTED else None  # matching takes the square of the line's length
    if value is not None:
        return f"put the value between quotes: `{value['key']}: '{value['text'].rstrip()}'`"
    return "look at the indentation, brackets and quotes of this line and the one before"


def _likely_indent(lines: list[str], number: int) -> int | None:
    """Return the number of spaces that a misindented line should begin with, or None if its indentation fits."""
    before = (match for line in reversed(lines[: number - 1]) if (match := _KEY.match(line[:_HINTED])))
    key = _KEY.match(lines[number - 1][:_HINTED]) if number <= len(lines) else None
    if key is None:
        return None
    depth = len(key["spaces"])
    if key["dash"]:
        dashes = (len(match["spaces"]) for match in before if match["dash"])
        return next((indent for indent in dashes if abs(indent - depth) == 1), None)
    above = next(before, None)
    if above is None or above["value"] is None:
        return None
    indent = len(above["spaces"] + above["dash"])
    return indent if 0 < abs(indent - depth) <= 2 else None


def _refuse(path: Path, text: str, place: SourcePosition, message: str, hint: str | None) -> NoReturn:
    raise FaultyText([Fault(path, place, message, hint)], text)
