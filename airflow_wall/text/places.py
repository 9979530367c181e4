"""Positions of a document's values in its text, including values that an overlay or an expression moved."""

from __future__ import annotations

from typing import Any

from airflow_wall.diagnostics.faults import Fault, Loc, SourcePosition, lines_of
from airflow_wall.text.document import YamlDocument


class Places:
    """
    The positions of the values of one document and of the documents that it includes.

    :param document: The document.
    """

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.moved: dict[Loc, Loc] = {}
        """Current path of a value to the path at which it is written."""
        self.included: dict[str, YamlDocument] = {}
        """First part of the path of a value in an included document, to the document."""

    def include(self, name: str, document: YamlDocument) -> str:
        """Add an included document. Return the first part of the paths of its values."""
        home = f"<{name}>"
        self.included[home] = document
        return home

    def origin(self, loc: Loc) -> Loc:
        """Return the path at which the value now at `loc` is written. Overlays and expressions move values."""
        if not self.moved:
            return loc
        for end in range(len(loc), -1, -1):
            written = self.moved.get(loc[:end])
            if written is not None:  # the value moved; a part of it may still be at its written path
                return loc if written == loc[:end] else self.origin(written + loc[end:])
        return loc

    def source(self, loc: Loc) -> YamlDocument:
        """Return the document in which the value now at `loc` is written."""
        if not self.included:
            return self.document
        return self.included.get(str(next(iter(self.origin(loc)), "")), self.document)

    def place(self, loc: Loc, *, of_key: bool = False) -> SourcePosition:
        """Return the position of the value at `loc`, or of its key, in its `source`."""
        document = self.source(loc)
        if document is not self.document:
            return document.place(self.origin(loc)[1:], of_key=of_key)
        # The key of a value that an expression gives is the key before the expression.
        written = (*self.origin(loc[:-1]), *loc[-1:]) if of_key else ()
        loc = written if of_key and written in self.document.keys else self.origin(loc)
        if "with" in loc and (block := loc[: loc.index("with")]):
            uses = (*block, "uses")
            if (*block, "with") not in self.document.keys and uses in self.document.keys:
                loc, of_key = uses, False  # a missing argument is shown at the `uses` that requires it
        return self.document.place(loc, of_key=of_key)

    def written(self, loc: Loc) -> str | None:
        """Return the text of the value at `loc` on its line, or None if the text has no such line."""
        place = self.place(loc)
        lines = lines_of(self.source(loc).text)
        if place.line > len(lines):
            return None
        return lines[place.line - 1][place.column - 1 : place.column - 1 + place.width] or None

    def fault(
        self, loc: Loc, message: str, hint: str | None = None, *, of_key: bool = False, is_secret: bool = False
    ) -> Fault:
        """
        Return a fault of the value at `loc`, or of its key. The key path is put before `message`.

        :param is_secret: True to hide the line from the value on.
        """
        written, document = self.origin(loc), self.source(loc)
        inner = written if document is self.document else written[1:]
        if inner[:1] == ("templates",):
            path = key_path(document.value, inner)  # many tasks may have the fault from one template
        else:
            path = key_path(self.document.value, loc[1:] if loc and loc[0] in self.included else loc)
        place = self.place(loc, of_key=of_key)
        text = f"`{path}` {message}" if path else message
        hidden_from = place.column if is_secret else None
        return Fault(document.path, place, text, hint, key=path or None, text=document.text, hidden_from=hidden_from)


def key_path(document: Any, loc: Loc) -> str:
    """Return the path `loc` as text, e.g. `tasks[fit].with.epochs`, with items named by their id."""
    text, value = "", document
    for part in loc:
        if isinstance(part, int) and not isinstance(value, list):
            continue  # a single value where a list may stand
        value = step_into(value, part)
        if isinstance(part, int):
            name = value.get("id") if isinstance(value, dict) else None
            text += f"[{name if isinstance(name, str) else part}]"
        else:
            key = "null" if part is None else str(part)  # a YAML key need not be text
            text += f".{key}" if text else key
    return text


def step_into(value: Any, part: str | int) -> Any:
    """Return the value of a mapping or list at `part`, or None if there is none."""
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
