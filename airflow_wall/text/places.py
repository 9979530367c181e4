"""Where the values of a document stand in its text, those that an overlay or an expression moved too."""

from __future__ import annotations

from typing import Any

from airflow_wall.text.faults import Fault, Loc, Place
from airflow_wall.text.reader import Document


class Places:
    """
    The places of one document, and of those that it includes.

    :param document: The document.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.moved: dict[Loc, Loc] = {}
        """Where a value is now, to where it is written."""
        self.included: dict[str, Document] = {}
        """First part of the place of a value in an included document, to the document."""

    def include(self, name: str, document: Document) -> str:
        """Add an included document; what stands in it is at `(what this returns, *loc)`."""
        home = f"<{name}>"
        self.included[home] = document
        return home

    def origin(self, loc: Loc) -> Loc:
        """Where what is now at `loc` stands in the text: overlays and expressions move values."""
        if not self.moved:
            return loc
        for end in range(len(loc), -1, -1):
            written = self.moved.get(loc[:end])
            if written is not None:  # a part of what moved may have stayed where it was
                return loc if written == loc[:end] else self.origin(written + loc[end:])
        return loc

    def source(self, loc: Loc) -> Document:
        """The document in which what is now at `loc` is written."""
        if not self.included:
            return self.document
        return self.included.get(str(next(iter(self.origin(loc)), "")), self.document)

    def place(self, loc: Loc, *, of_key: bool = False) -> Place:
        """The place of the value at `loc`, or of its key, in its `source`."""
        document = self.source(loc)
        if document is not self.document:
            return document.place(self.origin(loc)[1:], of_key=of_key)
        # An expression that gives a value stands behind the value's own key.
        written = (*self.origin(loc[:-1]), *loc[-1:]) if of_key else ()
        loc = written if of_key and written in self.document.keys else self.origin(loc)
        if "with" in loc and (block := loc[: loc.index("with")]):
            uses = (*block, "uses")
            if (*block, "with") not in self.document.keys and uses in self.document.keys:
                loc, of_key = uses, False  # what a task lacks is shown where it says who needs it
        return self.document.place(loc, of_key=of_key)

    def written(self, loc: Loc) -> str | None:
        """The value at `loc` as it is written, where it is in one line of the text."""
        place = self.place(loc)
        lines = self.source(loc).text.splitlines()
        if place.line > len(lines):
            return None
        return lines[place.line - 1][place.column - 1 : place.column - 1 + place.width] or None

    def fault(self, loc: Loc, message: str, hint: str | None = None, *, of_key: bool = False) -> Fault:
        """A fault of the value at `loc`, or of its key; `message` goes on after the key path."""
        written, document = self.origin(loc), self.source(loc)
        inner = written if document is self.document else written[1:]
        if inner[:1] == ("templates",):
            path = key_path(document.value, inner)  # many tasks may have what is wrong from one template
        else:
            path = key_path(self.document.value, loc[1:] if loc and loc[0] in self.included else loc)
        place = self.place(loc, of_key=of_key)
        text = f"`{path}` {message}" if path else message
        return Fault(document.path, place, text, hint, key=path or None, text=document.text)


def key_path(document: Any, loc: Loc) -> str:
    """`loc` as a reader would say it: `tasks[fit].with.epochs`, items named by their id."""
    text, value = "", document
    for part in loc:
        if isinstance(part, int) and not isinstance(value, list):
            continue  # a single value where a list may stand
        value = step_into(value, part)
        if isinstance(part, int):
            name = value.get("id") if isinstance(value, dict) else None
            text += f"[{name if isinstance(name, str) else part}]"
        else:
            key = "null" if part is None else str(part)  # YAML has keys that are no text
            text += f".{key}" if text else key
    return text


def step_into(value: Any, part: str | int) -> Any:
    """What is in a mapping or list under `part`; None where there is nothing."""
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
