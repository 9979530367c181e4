"""Check the names in templates: variables and filters that Airflow does not define, and that it has removed."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import nearest, suggestion
from airflow_wall.language.markers import JINJA, MARKERS, Template
from airflow_wall.language.template_names import FILTERS, GLOBALS, REMOVED, REMOVED_ATTRIBUTES, RUN, TESTS
from airflow_wall.planner.plan import Plan

_SIMPLE = re.compile(r"\{\{ *([A-Za-z_]\w*+(?:\.\w++)*+)(?: *\| *(\w+))? *\}\}")
"""An expression that only fills in a name, perhaps through a filter."""

_NOTICE = ("notice",)
_RENDERED_LATER = ("map_index_template",)
"""Keys whose templates may use names that the task itself defines."""


@dataclass(frozen=True)
class Names:
    """
    The names that a template uses.

    :param variables: Dotted names. The first part is a variable.
    :param filters: Filters, which follow `|`.
    :param tests: Tests, which follow `is`.
    """

    variables: Collection[str]
    filters: Collection[str]
    tests: Collection[str] = ()


def template_faults(plan: Plan) -> Iterator[Fault]:
    """Yield the faults of names in the templates of a plan."""
    macros = tuple(plan.arguments.get("user_defined_macros") or ())
    filters = FILTERS.union(plan.arguments.get("user_defined_filters") or ())
    for loc, template, known in _templates(plan):
        for message, hint in _faults(template.text, (*known, *macros), filters):
            yield plan.places.fault(_of_text(loc, plan), message, hint)


def _of_text(loc: Loc, plan: Plan) -> Loc:
    """Return the path of the text in a marker."""
    document = plan.places.source(loc)
    written = document.as_written(plan.places.origin(loc))
    keys = (key for key, marker in MARKERS.items() if marker is Template and (*written, key) in document.keys)
    return (*loc, *keys)


def template_warnings(plan: Plan) -> Iterator[Fault]:
    """Yield a warning for each param that templates use and the pipeline lacks. A run may still be started with it."""
    params = set(plan.arguments.get("params") or ())
    for task in plan.tasks:
        own = params | set(task.settings.get("params") or ())
        for block in ("with", "expand", "expand_kwargs"):
            value = task.arguments if block == "with" else task.mapped.get(block)
            for loc, template in _templates_in(value, (*task.loc, block)):
                for name in _names(template.text).variables:
                    first, _, rest = name.partition(".")
                    param = rest.partition(".")[0]
                    if first == "params" and param and param not in own and param not in dir(dict):
                        near = nearest(param, own)
                        hint = f"did you mean `params.{near}`?" if near else f"add it: `params: {{{param}: ...}}`"
                        message = f"uses `params.{brief(param)}`, which the pipeline does not define"
                        yield plan.places.fault(_of_text(loc, plan), message, hint)


def _templates(plan: Plan) -> Iterator[tuple[Loc, Template, tuple[str, ...]]]:
    """Yield the templates of a plan: the path, the template, and names that are known there besides Airflow's."""
    heads = {
        "notify": plan.notify,
        "deadline": plan.deadline,
        "on_success_callback": plan.on_success,
        "on_failure_callback": plan.on_failure,
        "default_args": plan.default_args,
    }
    for key, value in heads.items():
        for loc, template in _templates_in(value, (key,)):
            yield loc, template, (*_NOTICE, "deadline")
    for task in plan.tasks:
        for key, block in (("with", task.arguments), *task.mapped.items()):
            for loc, template in _templates_in(block, (*task.loc, key)):
                yield loc, template, ()
        for name, value in task.settings.items():
            if name not in _RENDERED_LATER:
                for loc, template in _templates_in(value, (*task.loc, name)):
                    yield loc, template, _NOTICE


def _templates_in(value: Any, loc: Loc) -> Iterator[tuple[Loc, Template]]:
    if isinstance(value, Template):
        yield loc, value
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from _templates_in(getattr(value, name), (*loc, info.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _templates_in(item, (*loc, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _templates_in(item, (*loc, index))


def _faults(text: str, known: Collection[str], filters: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the message and the hint of each name that a template cannot use."""
    names = _names(text)
    reported = set()
    for name in names.variables:
        first = name.partition(".")[0]
        attribute = ".".join(name.split(".")[:2])
        if attribute in REMOVED_ATTRIBUTES and attribute not in reported:
            reported.add(attribute)
            yield f"uses `{attribute}`, which Airflow 3 has removed", f"write `{REMOVED_ATTRIBUTES[attribute]}`"
        elif first in RUN or first in GLOBALS or first in known or first in reported:
            continue
        elif first in REMOVED:
            reported.add(first)
            yield f"uses `{first}`, which Airflow 3 has removed", f"write `{{{{ {REMOVED[first]} }}}}`"
        else:
            reported.add(first)
            hint = suggestion(first, [*RUN, *known], what="names")
            yield f"uses `{brief(first)}`, which Airflow does not define", hint
    for kind, used, defined in (("filter", names.filters, filters), ("test", names.tests, TESTS)):
        for name in dict.fromkeys(used):
            if name not in defined:
                hint = suggestion(name, defined, what=f"{kind}s")
                yield f"uses the {kind} `{brief(name)}`, which Jinja and Airflow do not have", hint


@functools.lru_cache(maxsize=256)
def _names(text: str) -> Names:
    parts = _SIMPLE.split(text)
    if JINJA.search("".join(parts[::3])) is None:
        return Names(tuple(dict.fromkeys(parts[1::3])), tuple(name for name in parts[2::3] if name))
    from airflow_wall.loader.templates import names_used  # imports Jinja, which most files do not need

    return Names(*names_used(text))
