"""`include`: what several pipelines share, from files beside them, laid under what the pipeline says itself."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any

from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder
from airflow_wall.text.faults import FaultyText, Loc, shown, suggestion
from airflow_wall.text.reader import Document, read_text

SHARED = ("vars", "default_args", "templates", "notify")
"""Keys that an included file may have; their entries are merged one by one."""

MAX_DEPTH = 4
"""How deep files may include files."""

MAX_FILES = 20
"""How many files one pipeline may include, each as often as it is named."""


def with_included(value: dict[str, Any], folder: Folder, faults: Faults) -> dict[str, Any]:
    """
    The document with what it includes: its own entries win over those of a file, a later file over an earlier one.

    :param folder: The pipeline's folder; names of files are relative to it, in included files too.
    """
    if "include" not in value:
        return value
    reader = _Reader(folder, faults)
    before = len(faults.found)
    reader.read_all(value["include"], ("include",), ())
    faults.lacks_included = len(faults.found) > before
    merged = {key: each for key, each in value.items() if key != "include"}
    for key, entries in reader.entries.items():
        own = value.get(key)
        if own is None:
            merged[key] = {name: each for name, (each, _) in entries.items()}
        elif isinstance(own, dict):
            merged[key] = {**{name: each for name, (each, _) in entries.items()}, **own}
        else:
            continue  # the check of the key says it
        faults.places.moved.update(
            {(key, name): origin for name, (_, origin) in entries.items() if own is None or name not in own}
        )
    return merged


@dataclass
class _Reader:
    """Reads included files, each once."""

    folder: Folder
    faults: Faults
    entries: dict[str, dict[str, tuple[Any, Loc]]] = field(default_factory=dict)
    count: int = 0

    def read_all(self, names: Any, loc: Loc, within: tuple[str, ...]) -> None:
        """Read the files that the `include` at `loc` names; `within` are the files around it, outermost first."""
        listed = names if isinstance(names, list) else [names]
        for index, name in enumerate(listed):
            where = (*loc, index)
            if not isinstance(name, str) or not name.endswith((".yaml", ".yml")):
                hint = "write e.g. `include: [shared/team.yaml]`"
                self.faults.add(where, f"must be the name of a YAML file, got `{shown(name)}`", hint)
            else:
                self._enter(posixpath.normpath(name), where, within)

    def _enter(self, name: str, loc: Loc, within: tuple[str, ...]) -> None:
        self.count += 1
        if name in within:
            circle = " -> ".join(f"`{each}`" for each in (*within[within.index(name) :], name))
            self.faults.add(loc, f"goes round in a circle: {circle}", "remove one of these `include`s")
        elif len(within) == MAX_DEPTH:
            self.faults.add(loc, f"is nested deeper than {MAX_DEPTH} files", "include the file further up")
        elif self.count == MAX_FILES + 1:
            self.faults.add(loc, f"brings the pipeline above {MAX_FILES} included files", "join some of them")
        elif self.count <= MAX_FILES:
            self._read(name, loc, within)

    def _read(self, name: str, loc: Loc, within: tuple[str, ...]) -> None:
        before = len(self.faults.found)
        text = self.folder.read(name, loc, self.faults)
        if len(self.faults.found) > before:
            return
        try:
            documents = read_text(text.encode(), self.folder.path / name)
        except FaultyText as error:
            self.faults.found += error.faults
            return
        if len(documents) != 1 or not isinstance(documents[0].value, dict):
            self.faults.add(loc, f"names `{name}`, which must hold one mapping", f"write {_known()} at its top")
            return
        self._merge(documents[0], name, (*within, name))

    def _merge(self, document: Document, name: str, within: tuple[str, ...]) -> None:
        home = self.faults.places.include(name, document)
        value = document.value
        if "include" in value:
            self.read_all(value["include"], (home, "include"), within)
        for key, entries in value.items():
            if key in SHARED and isinstance(entries, dict):
                self.entries.setdefault(key, {}).update(
                    {entry: (each, (home, key, entry)) for entry, each in entries.items()}
                )
            elif key in SHARED:
                self.faults.add((home, key), f"must be a mapping, got `{shown(entries)}`", "write keys and values")
            elif key != "include":
                hint = suggestion(key, (*SHARED, "include"), what="keys")
                self.faults.add((home, key), "cannot stand in an included file", hint, of_key=True)


def _known() -> str:
    return ", ".join(f"`{key}`" for key in SHARED)
