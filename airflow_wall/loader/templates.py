"""What a Jinja template does, told from its syntax: nothing is rendered to find out."""

from __future__ import annotations

from collections.abc import Collection

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser

from airflow_wall.settings import listed
from airflow_wall.text.faults import shown

RUN_NAMES = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "run_id", "logical_date", "data_interval_start",
    "data_interval_end", "params.*", "notice.*",
)  # fmt: skip
"""Airflow's names that a template may always use: when the run is for, what it was started with, what a notice says."""

FILTERS = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "lower", "upper", "trim", "default", "int", "float",
    "tojson",
)  # fmt: skip
"""Filters that a template may use: none calls anything of its value, or makes a long text of a short one."""

_READER = jinja2.Environment(autoescape=False, cache_size=0)  # noqa: S701  # nothing is rendered

# As Airflow reads templates: it adds `do`.
_AIRFLOWS = jinja2.Environment(autoescape=False, cache_size=0, extensions=["jinja2.ext.do"])  # noqa: S701  # as above


def _parsed(text: str, environment: jinja2.Environment) -> nodes.Template:
    # Its own `parse` would compile code to tell an error at the template's line of a traceback.
    return Parser(environment, text).parse()


def syntax_fault(text: str) -> tuple[int, str] | None:
    """The line, from 1, at which a text is no Jinja template, and why; None where it is one."""
    try:
        _parsed(text, _AIRFLOWS)
    except jinja2.TemplateSyntaxError as error:
        return error.lineno, error.message or "it cannot be read"
    except RecursionError:
        return 1, "it is nested too deeply"
    except ValueError:
        return 1, "it holds a number of too many digits"
    return None


def beyond(text: str, names: Collection[str]) -> str | None:
    """
    The first thing in a template that is more than filling in one of `names`, in words; None where nothing is.

    :param names: Dotted names, or patterns of them, besides `RUN_NAMES`.
    """
    for sign in ("{%", "{#"):  # what they mean may be gone from the parsed template
        if sign in text:
            return f"`{sign}`"
    try:
        template = _parsed(text, _READER)
    except (jinja2.TemplateError, ValueError, RecursionError):
        return "what Jinja cannot read"
    outputs = [
        node for output in template.body for node in (output.nodes if isinstance(output, nodes.Output) else [output])
    ]
    found = (_wrong(node, (*RUN_NAMES, *names)) for node in outputs)
    return next((wrong for wrong in found if wrong is not None), None)


def _wrong(node: nodes.Node, names: Collection[str]) -> str | None:
    if isinstance(node, nodes.TemplateData):
        return None
    while isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            return f"the filter `{shown(node.name)}`"
        plain = all(isinstance(argument, nodes.Const) for argument in node.args)
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs or not plain:
            return f"the filter `{node.name}` with more than plain values"
        node = node.node
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        return "more than a name"
    name = ".".join([node.name, *reversed(parts)])
    private = any(part.startswith("_") for part in parts)
    return f"`{shown(name)}`" if private or not listed(name, names) else None
