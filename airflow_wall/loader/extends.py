"""Apply `templates` and `extends`: give tasks the keys of the templates they name."""

from __future__ import annotations

from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import as_list, suggestion
from airflow_wall.loader.faults import Faults

MERGED = ("with", "run")
"""Keys whose entries replace those of a template one by one; any other key replaces it whole."""

MAX_LAID = 50_000
"""The most keys of templates that the tasks of one document may take."""


class Templates:
    """
    The templates of one document.

    :param value: Its `templates`, as written.
    :param faults: Collects the faults.
    """

    def __init__(self, value: Any, faults: Faults) -> None:
        self.faults = faults
        self.laid = 0
        self.by_name: dict[str, Any] = {}
        if not isinstance(value, dict | None):
            hint = "write names and keys of tasks below them, e.g. `templates: {gentle: {retries: 3}}`"
            faults.add(("templates",), f"must give names and what they hold, got `{brief(value)}`", hint)
        for name, template in (value if isinstance(value, dict) else {}).items():
            if not isinstance(name, str):
                faults.add(("templates", str(name)), "must have a name that is text", "quote it", of_key=True)
            elif not isinstance(template, dict):
                message = f"must hold keys of a task, got `{brief(template)}`"
                faults.add(("templates", name), message, "write e.g. `retries: 3` below it")
            self.by_name[str(name)] = template

    def extended(self, task: dict[str, Any], loc: Loc) -> dict[str, Any]:
        """Return the task at `loc` with the keys of the templates that it `extends`."""
        if task.get("extends") is None:
            return task
        merged = _MergedTask()
        for name, at in self._names(task["extends"], (*loc, "extends")):
            self._apply(merged, name, at, ())
        merged.update({key: value for key, value in task.items() if key != "extends"}, loc)
        for part, origin in merged.origins.items():
            self.faults.places.moved[(*loc, *part)] = origin
        return merged.values

    def _apply(self, merged: _MergedTask, name: str, at: Loc, within: tuple[str, ...]) -> None:
        template = self.by_name.get(name)
        if isinstance(template, dict):
            self.laid += 1 + sum(len(value) if isinstance(value, dict) else 1 for value in template.values())
        if self.laid > MAX_LAID:  # two templates that each extend the one before twice, and so on
            message = f"merges more than {MAX_LAID:,} keys of templates"
            self.faults.stop(at, message, "extend fewer templates, or split the file into several pipelines")
        if name in within:
            circle = " -> ".join(f"`{template}`" for template in (*within[within.index(name) :], name))
            self.faults.add(at, f"leads in a circle: {circle}", "remove one of these `extends`")
        elif name not in self.by_name and not self.faults.lacks_included:
            yaml_list = as_list(name, self.by_name)
            hint = f"write a list: `{yaml_list}`" if yaml_list else suggestion(name, self.by_name, what="templates")
            self.faults.add(at, f"names `{name}`, but there is no such template", hint)
        elif isinstance(template, dict):
            loc = ("templates", name)
            for parent, place in self._names(template.get("extends"), (*loc, "extends")):
                self._apply(merged, parent, place, (*within, name))
            merged.update({key: value for key, value in template.items() if key != "extends"}, loc)

    def _names(self, value: Any, loc: Loc) -> list[tuple[str, Loc]]:
        if value is None:
            return []
        if isinstance(value, str):
            return [(value, loc)]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            message = f"must be the name of a template, or a list of them, got `{brief(value)}`"
            self.faults.add(loc, message, "write e.g. `extends: [gentle]`")
            return []
        return [(name, (*loc, index)) for index, name in enumerate(value)]


class _MergedTask:
    """The keys of a task, later ones over earlier ones, and the path at which each is written."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Loc, Loc] = {}

    def update(self, keys: dict[str, Any], loc: Loc) -> None:
        for key, value in keys.items():
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
