"""Analyse a Jinja template by its syntax, without rendering it."""

from __future__ import annotations

from collections.abc import Collection

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser

from airflow_wall.diagnostics.printable import brief
from airflow_wall.settings import matches_any

RUN_NAMES = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "run_id", "logical_date", "data_interval_start",
    "data_interval_end", "params.*", "notice.*",
)  # fmt: skip
"""Airflow's names that a template may always use: the dates of the run, its params, and the parts of a notice."""

FILTERS = (
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "lower", "upper", "trim", "default", "int", "float",
    "tojson",
)  # fmt: skip
"""Filters that a template may use. None calls a method of its value, or turns a short text into a long one."""

_READER = jinja2.Environment(autoescape=False, cache_size=0)  # noqa: S701  # nothing is rendered

# Airflow reads templates with the extension `do`.
_WITH_DO = jinja2.Environment(autoescape=False, cache_size=0, extensions=["jinja2.ext.do"])  # noqa: S701  # as above


def _parsed(text: str, environment: jinja2.Environment) -> nodes.Template:
    # `environment.parse` would also compile code, to show the template's line in the traceback of an error.
    return Parser(environment, text).parse()


def syntax_error(text: str) -> tuple[int, str] | None:
    """Return the line, from 1, and the message of the syntax error in a Jinja template, or None if it is valid."""
    try:
        _parsed(text, _WITH_DO)
    except jinja2.TemplateSyntaxError as error:
        return error.lineno, error.message or "it cannot be read"
    except RecursionError:
        return 1, "it is nested too deeply"
    except ValueError:
        return 1, "it holds a number of too many digits"
    return None


def names_used(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """
    Return the dotted names, the filters and the tests that a template uses, without those it defines itself.

    A name that `default` or `is defined` makes optional is left out. A text that is not a template has none.
    """
    try:
        return _names_in(_parsed(text, _WITH_DO))
    except (jinja2.TemplateError, ValueError, RecursionError):
        return (), (), ()


def _names_in(template: nodes.Template) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    own = {node.name for node in template.find_all(nodes.Name) if node.ctx in ("store", "param")}
    own |= {node.name for node in template.find_all(nodes.Macro)}
    own |= {node.target for node in template.find_all(nodes.Import)}
    imports = (name for node in template.find_all(nodes.FromImport) for name in node.names)
    own |= {name if isinstance(name, str) else name[1] for name in imports}  # a pair is a name and its alias
    optional = set()
    for guard in (*template.find_all(nodes.Filter), *template.find_all(nodes.Test)):
        if guard.name in ("default", "d", "defined", "undefined") and guard.node is not None:
            optional |= {
                node.name for node in (guard.node, *guard.node.find_all(nodes.Name)) if isinstance(node, nodes.Name)
            }
    skipped = own | optional
    names: dict[str, None] = {}
    inner: set[int] = set()
    for attribute in template.find_all(nodes.Getattr):  # outer ones come first
        name = _dotted(attribute)
        if name is not None and id(attribute) not in inner:
            names[name] = None
        if isinstance(attribute.node, nodes.Getattr):
            inner.add(id(attribute.node))
    names |= {node.name: None for node in template.find_all(nodes.Name) if node.ctx == "load"}
    variables = tuple(name for name in names if name.partition(".")[0] not in skipped)
    filters = tuple(node.name for node in template.find_all(nodes.Filter))
    return variables, filters, tuple(node.name for node in template.find_all(nodes.Test))


def _dotted(node: nodes.Node) -> str | None:
    """Return the name of a chain of attributes, or None for attributes of anything else."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, nodes.Name) else None


def disallowed_part(text: str, names: Collection[str]) -> str | None:
    """
    Return, in words, the first part of a template that does more than fill in one of `names`, or None.

    :param names: Dotted names, or patterns of them, besides `RUN_NAMES`.
    """
    for sign in ("{%", "{#"):  # the parsed template may lack these
        if sign in text:
            return f"`{sign}`"
    try:
        template = _parsed(text, _READER)
    except (jinja2.TemplateError, ValueError, RecursionError):
        return "what Jinja cannot read"
    outputs = [
        node for output in template.body for node in (output.nodes if isinstance(output, nodes.Output) else [output])
    ]
    parts = (_disallowed(node, (*RUN_NAMES, *names)) for node in outputs)
    return next((part for part in parts if part is not None), None)


def _disallowed(node: nodes.Node, names: Collection[str]) -> str | None:
    if isinstance(node, nodes.TemplateData):
        return None
    while isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            return f"the filter `{brief(node.name)}`"
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
    return f"`{brief(name)}`" if private or not matches_any(name, names) else None
