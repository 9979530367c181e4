"""Apply `include`, and find the origins of values that an included file or an environment gives."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any

from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.language.document import Origin
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.files import Folder
from airflow_wall.text.document import YamlDocument
from airflow_wall.text.places import Places, key_path, step_into
from airflow_wall.text.reader import read_text

SHARED = ("vars", "default_args", "templates", "notify")
"""Keys that an included file may have; their entries are merged one by one."""

MAX_DEPTH = 4
"""The most levels of files that include files."""

MAX_FILES = 20
"""The most files that one pipeline may include. A file counts each time it is named."""


def apply_includes(value: dict[str, Any], folder: Folder, faults: Faults) -> dict[str, Any]:
    """
    Return the document with the keys of the files that it includes.

    Its own entries win over those of a file, and a later file wins over an earlier one.

    :param folder: The pipeline's directory. Names of files are relative to it, in included files too.
    """
    if "include" not in value:
        return value
    reader = _IncludeReader(folder, faults)
    before = len(faults.collected)
    reader.read_all(value["include"], ("include",), ())
    faults.lacks_included = len(faults.collected) > before
    merged = {key: entry for key, entry in value.items() if key != "include"}
    for key, entries in reader.entries.items():
        own = value.get(key)
        if own is None:
            merged[key] = {name: entry for name, (entry, _) in entries.items()}
        elif isinstance(own, dict):
            merged[key] = {**{name: entry for name, (entry, _) in entries.items()}, **own}
        else:
            continue  # the check of the key notes this fault
        faults.places.moved.update(
            {(key, name): origin for name, (_, origin) in entries.items() if own is None or name not in own}
        )
    return merged


@dataclass
class _IncludeReader:
    """Reads included files, each once."""

    folder: Folder
    faults: Faults
    entries: dict[str, dict[str, tuple[Any, Loc]]] = field(default_factory=dict)
    count: int = 0

    def read_all(self, names: Any, loc: Loc, within: tuple[str, ...]) -> None:
        """Read the files that the `include` at `loc` names. `within` are the files around it, outermost first."""
        listed = names if isinstance(names, list) else [names]
        for index, name in enumerate(listed):
            where = (*loc, index)
            if not isinstance(name, str) or not name.endswith((".yaml", ".yml")):
                hint = "write e.g. `include: [shared/team.yaml]`"
                self.faults.add(where, f"must be the name of a YAML file, got `{brief(name)}`", hint)
            elif "://" in name:
                hint = "copy it to the pipeline's folder, and name it there"
                self.faults.add(where, f"names `{brief(name)}`, which is not a file in the pipeline's folder", hint)
            else:
                self._enter(posixpath.normpath(name), where, within)

    def _enter(self, name: str, loc: Loc, within: tuple[str, ...]) -> None:
        self.count += 1
        if name in within:
            circle = " -> ".join(f"`{file}`" for file in (*within[within.index(name) :], name))
            self.faults.add(loc, f"leads in a circle: {circle}", "remove one of these `include`s")
        elif len(within) == MAX_DEPTH:
            self.faults.add(loc, f"is nested deeper than {MAX_DEPTH} files", "include the file further up")
        elif self.count == MAX_FILES + 1:
            self.faults.add(loc, f"brings the pipeline above {MAX_FILES} included files", "join some of them")
        elif self.count <= MAX_FILES:
            self._read(name, loc, within)

    def _read(self, name: str, loc: Loc, within: tuple[str, ...]) -> None:
        before = len(self.faults.collected)
        text = self.folder.read(name, loc, self.faults)
        if len(self.faults.collected) > before:
            return
        try:
            documents = read_text(text.encode(), self.folder.path / name)
        except FaultyText as error:
            self.faults.collected += error.faults
            return
        if len(documents) != 1 or not isinstance(documents[0].value, dict):
            self.faults.add(loc, f"names `{name}`, which must hold one mapping", f"write {listed(SHARED)} at its top")
            return
        self._merge(documents[0], name, (*within, name))

    def _merge(self, document: YamlDocument, name: str, within: tuple[str, ...]) -> None:
        home = self.faults.places.include(name, document)
        value = document.value
        if "include" in value:
            self.read_all(value["include"], (home, "include"), within)
        for key, entries in value.items():
            if key in SHARED and isinstance(entries, dict):
                self.entries.setdefault(key, {}).update(
                    {name: (entry, (home, key, name)) for name, entry in entries.items()}
                )
            elif key in SHARED:
                self.faults.add((home, key), f"must be a mapping, got `{brief(entries)}`", "write keys and values")
            elif key != "include":
                hint = suggestion(key, (*SHARED, "include"), what="keys")
                self.faults.add((home, key), "cannot stand in an included file", hint, of_key=True)


def origins_of(value: dict[str, Any], places: Places) -> tuple[Origin, ...]:
    """
    Return the origins of the values that an environment or an included file gives, sorted by key.

    :param value: The document, with environment and includes applied.
    :param places: The positions of its values. No expression has moved a value yet.
    """
    if not places.moved:
        return ()
    origins = [_origin(value, loc, places) for loc in places.moved if step_into(value, loc[0]) is not None]
    return tuple(sorted(origins, key=lambda origin: origin.key))


def _origin(value: dict[str, Any], loc: Loc, places: Places) -> Origin:
    now: Any = value
    for part in loc:
        now = step_into(now, part)
    written = places.origin(loc)
    environment = str(written[1]) if written[0] == "environments" else None
    document = places.source(loc)
    place = document.place(written[1:] if document is not places.document else written, of_key=True)
    return Origin(key_path(value, loc), brief(now), document.path, place.line, environment)
