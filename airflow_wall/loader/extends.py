"""`templates` and `extends`: tasks with the keys of the templates they name."""

from __future__ import annotations

from typing import Any

from airflow_wall.loader.faults import Faults
from airflow_wall.text.faults import Loc, as_list, shown, suggestion

MERGED = ("with", "run")
"""Keys whose entries replace those of a template one by one; any other key replaces it whole."""

MAX_LAID = 250_000
"""How many keys of templates the tasks of one document may take."""


class Templates:
    """
    The templates of one document.

    :param value: Its `templates`, as written.
    :param faults: Where faults go.
    """

    def __init__(self, value: Any, faults: Faults) -> None:
        self.faults = faults
        self.laid = 0
        self.known: dict[str, Any] = {}
        if not isinstance(value, dict | None):
            hint = "write names and keys of tasks below them, e.g. `templates: {gentle: {retries: 3}}`"
            faults.add(("templates",), f"must give names and what they hold, got `{shown(value)}`", hint)
        for name, each in (value if isinstance(value, dict) else {}).items():
            if not isinstance(name, str):
                faults.add(("templates", str(name)), "must have a name that is text", "quote it", of_key=True)
            elif not isinstance(each, dict):
                message = f"must hold keys of a task, got `{shown(each)}`"
                faults.add(("templates", name), message, "write e.g. `retries: 3` below it")
            self.known[str(name)] = each

    def extended(self, task: dict[str, Any], loc: Loc) -> dict[str, Any]:
        """The task at `loc` with the keys of the templates that it `extends`."""
        if task.get("extends") is None:
            return task
        made = _Merged()
        for name, at in self._names(task["extends"], (*loc, "extends")):
            self._lay(made, name, at, ())
        made.lay({key: each for key, each in task.items() if key != "extends"}, loc)
        for part, origin in made.origins.items():
            self.faults.places.moved[(*loc, *part)] = origin
        return made.values

    def _lay(self, made: _Merged, name: str, at: Loc, within: tuple[str, ...]) -> None:
        template = self.known.get(name)
        if isinstance(template, dict):
            self.laid += 1 + sum(len(each) if isinstance(each, dict) else 1 for each in template.values())
        if self.laid > MAX_LAID:  # two templates that each extend the one before twice, and so on
            self.faults.stop(at, f"lays more than {MAX_LAID:,} keys of templates over each other", "extend less")
        if name in within:
            circle = " -> ".join(f"`{each}`" for each in (*within[within.index(name) :], name))
            self.faults.add(at, f"leads in a circle: {circle}", "remove one of these `extends`")
        elif name not in self.known and not self.faults.lacks_included:
            listed = as_list(name, self.known)
            hint = f"write a list: `{listed}`" if listed else suggestion(name, self.known, what="templates")
            self.faults.add(at, f"names `{name}`, but there is no such template", hint)
        elif isinstance(template, dict):
            loc = ("templates", name)
            for parent, place in self._names(template.get("extends"), (*loc, "extends")):
                self._lay(made, parent, place, (*within, name))
            made.lay({key: each for key, each in template.items() if key != "extends"}, loc)

    def _names(self, value: Any, loc: Loc) -> list[tuple[str, Loc]]:
        if value is None:
            return []
        if isinstance(value, str):
            return [(value, loc)]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            message = f"must be the name of a template, or a list of them, got `{shown(value)}`"
            self.faults.add(loc, message, "write e.g. `extends: [gentle]`")
            return []
        return [(name, (*loc, index)) for index, name in enumerate(value)]


class _Merged:
    """Keys of a task, the later ones over the earlier, and where each of them is written."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Loc, Loc] = {}

    def lay(self, over: dict[str, Any], loc: Loc) -> None:
        for key, value in over.items():
            below = self.values.get(key)
            if key in MERGED and isinstance(value, dict) and isinstance(below, dict):
                self.values[key] = {**below, **value}
                for name in below:
                    self.origins.setdefault((key, name), (*self.origins[(key,)], name))
                self.origins |= {(key, name): (*loc, key, name) for name in value} | {(key,): (*loc, key)}
            else:
                self.values[key] = value
                if key in MERGED:
                    self.origins = {part: origin for part, origin in self.origins.items() if part[0] != key}
                self.origins[(key,)] = (*loc, key)
